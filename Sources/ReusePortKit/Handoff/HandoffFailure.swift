/// A member that will not serve, and why. `member` is its index; nil: no single one is to blame.
struct MemberFailure: Error {
    var member: Int?
    var reason: EndReason

    init(_ member: Int?, _ reason: EndReason) {
        self.member = member
        self.reason = reason
    }

    /// A step of the handoff itself that failed.
    init(_ failure: Failure, member: Int? = nil) {
        self.member = member
        reason = EndReason(
            .handoff, failure.object.isEmpty ? failure.reason : "\(failure.object): \(failure.reason)")
    }
}

/// Runs a step of the handoff; its failure is nobody's in particular.
func handoffStep<Result: ~Copyable>(
    member: Int? = nil, _ body: () throws(Failure) -> Result
) throws(MemberFailure) -> Result {
    do throws(Failure) {
        return try body()
    } catch {
        throw MemberFailure(error, member: member)
    }
}

/// A handoff that failed; the live generation serves on.
struct HandoffFailure: Error {
    /// A copy by its number, nil for none in particular, and what became of it.
    typealias Reason = (copy: Int?, reason: EndReason)

    var app: ByteString
    var label: ByteString
    var reasons: [Reason]
    /// Whether copies were to join a generation that is live.
    var joined: Bool
    /// The generation that is live instead.
    var served: ByteString?

    /// The same as the last line of a command.
    var failure: Failure {
        let why = ReusePortKit.joined(
            reasons.map { one in one.copy.map { "copy \($0): \(one.reason.description)" } ?? one.reason.description },
            by: "; ")
        if joined {
            return Failure(
                .negative, "add", "to generation \(label) of app \(app)", why,
                remedy: "those that were there serve on")
        }
        return Failure(
            .negative, "deploy", "generation \(label) of app \(app)", why,
            remedy: served.map { "generation \($0) serves on" })
    }
}

/// Describes the app whose listeners have just joined their groups, so that these can be steered.
struct SteeringRequest {
    var app: ByteString
    var choice: SteeringChoice
    /// The live generation's, which stays in use until the cutover; the next generation's if none is live.
    var balance: Balance
    var live: GenerationListeners?
    /// The bank of the generation that is starting; nil if none is.
    var nextBank: Bank?
    /// The cookies of all the app's listeners, including the new ones.
    var known: [UInt64]
    /// Whether copies run that depend on the attached programs.
    var isInUse: Bool
}

/// Findings while groups were steered, for the caller to report.
struct SteeringReport {
    /// Servers outside any app, which get the connections until the first cutover.
    var foreign: [ForeignListener] = []
    /// Listeners beside those of the running generations, which get nothing.
    var outsiders: [ForeignListener] = []
    /// Why `auto` fell back to cBPF.
    var fallback: Failure?
}

extension Steering {
    /// Makes sure that the groups of these listeners are steered. Chooses how, unless running copies are steered
    /// already. The listeners must have called listen(2): a program cannot be attached to a group before.
    static func attach(
        _ known: inout Steering?, _ request: SteeringRequest, _ listeners: [Listener],
        held: borrowing OwnedArray<Placement>
    ) throws(Failure) -> SteeringReport {
        var report = SteeringReport()
        guard listeners.contains(where: { $0.isInGroup }) else {
            // Unix sockets are handed over by rename(2) and need no steering.
            if known == nil { known = .off }
            return report
        }
        if request.isInUse, let inUse = known?.choice, request.choice != .automatic, inUse != request.choice {
            throw Failure(
                .usage, "steer", "app \(request.app) by \(request.choice.name)",
                "its running copies are steered by \(inUse.name)",
                remedy: "stop them first, or leave --steering out")
        }
        if !request.isInUse { known = nil }
        if request.live != nil { report.outsiders = findForeignListeners(at: listeners, except: request.known) }
        switch known {
        case .twoBanks(var banks)?:
            try banks.attach(request, listeners, held: held)
            known = .twoBanks(banks)
        case .byIndex(var groups)?:
            defer { known = .byIndex(groups) }
            try groups.follow(listeners)
            // If a copy has died, one of these listeners may have come to stand at a place that gets connections.
            if let live = request.live { try groups.direct(to: live, listeners, held: held) }
        case .off?: break
        case nil: known = try choose(request, listeners, held: held, &report)
        }
        return report
    }

    private static func choose(
        _ request: SteeringRequest, _ listeners: [Listener], held: borrowing OwnedArray<Placement>,
        _ report: inout SteeringReport
    ) throws(Failure) -> Steering {
        func byIndex() throws(Failure) -> Steering {
            report.foreign = findForeignListeners(at: listeners, except: request.known)
            var groups = ByIndex()
            try groups.follow(listeners)
            return .byIndex(groups)
        }
        switch request.choice {
        case .off: return .off
        case .cbpf: return try byIndex()
        case .ebpf:
            return .twoBanks(try TwoBanks(request, listeners, held: held, foreign: &report.foreign))
        case .automatic:
            do throws(Failure) {
                return .twoBanks(try TwoBanks(request, listeners, held: held, foreign: &report.foreign))
            } catch {
                // We lack the privilege, or the kernel lacks such maps or programs; classic BPF needs neither.
                report.fallback = error
                return try byIndex()
            }
        }
    }
}

/// What has to be known to steer the groups of listeners that have just joined.
struct SteeringRequest {
    var app: ByteString
    var choice: SteeringChoice
    /// That of the live generation, which keeps its own until it is replaced; without one, that of the next.
    var balance: Balance
    var live: GenerationListeners?
    /// The bank in which the generation will stand that is on its way; nil if there is none.
    var nextBank: Bank?
    /// The cookies of all listeners of the app, also the new ones.
    var known: [UInt64]
    /// Whether copies run that depend on what is attached.
    var isInUse: Bool
}

/// What was found when groups were steered, for the caller to tell.
struct SteeringReport {
    /// Servers that know nothing of apps and that get the connections until a generation takes over.
    var foreign: [ForeignListener] = []
    /// Why `auto` has chosen cBPF.
    var fallback: Failure?
}

extension Steering {
    /// Makes sure that the groups of these listeners are steered, and chooses how, unless running copies are steered
    /// already. The listeners listen by now: a program cannot be attached to a group before.
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
        if request.isInUse, let inUse = known?.name, request.choice != .automatic, inUse != request.choice.name {
            throw Failure(
                .usage, "steer", "app \(request.app) by \(request.choice.name)",
                "its running copies are steered by \(inUse)",
                remedy: "stop them first, or leave --steering out")
        }
        if !request.isInUse { known = nil }
        switch known {
        case .twoBanks(var banks)?:
            try banks.attach(request, listeners, held: held)
            known = .twoBanks(banks)
        case .byIndex(var groups)?:
            defer { known = .byIndex(groups) }
            try groups.follow(listeners)
            // Where a copy has died, its place is another's now, and ours could be one that gets connections.
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
                // No privilege, or a kernel that has no such maps or programs: classic BPF needs neither.
                report.fallback = error
                return try byIndex()
            }
        }
    }
}

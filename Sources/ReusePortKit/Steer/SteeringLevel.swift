import CLinux

/// What this host lets us do to steer connections.
enum SteeringLevel: Equatable, Sendable {
    /// Level 1: `TwoBankProgram`.
    case twoBanks
    /// Level 2: `IndexProgram`.
    case index(whyNotTwoBanks: SteeringObstacle)
    /// The kernel's hash only.
    case none(whyNotTwoBanks: SteeringObstacle, whyNotIndex: Errno)
}

/// What stands in the way of level 1.
struct SteeringObstacle: Error, Equatable, Sendable {
    enum Step: Sendable {
        case createMap, reopenMap, loadProgram, attachProgram
    }

    let step: Step
    let errno: Errno

    /// `unable to create a BPF map: operation not permitted`, without the first two words.
    var description: ByteString {
        switch step {
        case .createMap: "create a BPF map: \(errno.description)"
        case .reopenMap: "open a BPF map by its id: \(errno.description)"
        case .loadProgram: "load a BPF program: \(errno.description)"
        case .attachProgram: "attach a BPF program: \(errno.description)"
        }
    }
}

/// Finds out by doing it all, on a socket that is never bound: no client can see it, and nothing is left behind.
func steeringLevel() -> SteeringLevel {
    var step = SteeringObstacle.Step.createMap
    let obstacle: SteeringObstacle
    do throws(Errno) {
        try tryTwoBanks(&step)
        return .twoBanks
    } catch {
        obstacle = SteeringObstacle(step: step, errno: error)
    }
    do throws(Errno) {
        try tryIndex()
        return .index(whyNotTwoBanks: obstacle)
    } catch {
        return .none(whyNotTwoBanks: obstacle, whyNotIndex: error)
    }
}

/// Leaves in `step` how far it came.
private func tryTwoBanks(_ step: inout SteeringObstacle.Step) throws(Errno) {
    step = .createMap
    let selector = try SelectorMap.create()
    let slots = try SlotsMap.create()
    step = .reopenMap
    _ = try SlotsMap.open(id: slots.id())
    step = .loadProgram
    let program = try steeringProgram(selector, slots)
    step = .attachProgram
    let socket = try unboundSocket()
    try program.attach(to: socket)
}

private func steeringProgram(
    _ selector: borrowing SelectorMap, _ slots: borrowing SlotsMap
) throws(Errno) -> TwoBankProgram {
    do throws(LoadFailure) {
        return try TwoBankProgram(balance: .clientIP, selector: selector, slots: slots)
    } catch {
        throw error.errno
    }
}

private func tryIndex() throws(Errno) {
    let socket = try unboundSocket()
    guard let program = IndexProgram(places: [0, 1], balance: .random) else { throw .invalid }
    try program.attach(to: socket)
}

/// A socket that can have a program although it is not bound: it is a group of its own.
private func unboundSocket() throws(Errno) -> Descriptor {
    let kind = Int32(SOCK_DGRAM.rawValue) | Int32(SOCK_CLOEXEC.rawValue)
    let socket: Descriptor
    do throws(Errno) {
        socket = Descriptor(owning: try checked(CLinux.socket(AF_INET, kind, 0)))
    } catch {
        guard error == .familyNotSupported else { throw error }
        socket = Descriptor(owning: try checked(CLinux.socket(AF_INET6, kind, 0)))
    }
    var on: Int32 = 1
    try checked(setsockopt(socket.number, SOL_SOCKET, SO_REUSEPORT, &on, socklen_t(MemoryLayout<Int32>.size)))
    return socket
}

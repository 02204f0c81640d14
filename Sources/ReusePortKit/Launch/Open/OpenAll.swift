import CLinux

/// Everything that is opened before the rights to open it are given up.
struct Opened: ~Copyable {
    /// The sockets first, in the plan's order.
    var placements = OwnedArray<Placement>()
    /// The addresses to which the sockets have been bound.
    var addresses: [SocketAddress] = []
    /// Reports to the coordinator whether the target has been executed; nil without a coordinator.
    var exec: ExecReport?
    /// The far end of the Node channel, for the coordinator to read; nil if the plan is not gated.
    var channel: Descriptor?
    /// Whether the target is told to wait before it begins to work.
    var waits = false
    /// How many copies of its app have been started, with this one.
    var start: UInt64 = 1
    /// Where the target reports that it is ready, if it does so through a socket.
    var readiness: ReadinessSocket?
    /// The control group to join.
    var group: CopyGroup?

    var highestTarget: Int32 {
        var highest: Int32 = 2
        for index in 0..<placements.count { highest = max(highest, placements[index].target) }
        return highest
    }

    /// Reports why there will be no exec. If this process just ended, that would look like an exec.
    borrowing func tell(_ failure: Failure) {
        switch exec {
        case .some(let exec): exec.tell(failure)
        case .none: break
        }
    }

    @inline(never)
    mutating func append(_ source: consuming Descriptor, at target: Int32) {
        placements.append(Placement(source: source, target: target))
    }
}

/// Binds all sockets, then opens all files.
func openAll(_ plan: Plan, _ leftovers: inout Leftovers) throws(Failure) -> Opened {
    var opened = Opened()
    for socket in plan.sockets {
        let bound =
            plan.isGated
            ? try bindSocket(hidden(socket), leftovers: &leftovers, takesStale: false)
            : try bindSocket(socket, leftovers: &leftovers)
        opened.addresses.append(bound.address)
        opened.append(bound.descriptor, at: socket.descriptor)
    }
    if plan.dialects.contains(.inetd), opened.placements[0].target != 0 {
        let copy = try step("copy", "descriptor for inetd", remedy: descriptorRemedy) { () throws(Errno) in
            try opened.placements[0].source.duplicate()
        }
        opened.append(copy, at: 0)
    }
    for file in plan.files { opened.append(try openFile(file, leftovers: &leftovers), at: file.descriptor) }
    if let channel = plan.channel {
        let pair = try step("create", "the Node channel", remedy: descriptorRemedy) { () throws(Errno) in
            try openChannel()
        }
        opened.append(Descriptor(owning: pair.near), at: channel.near)
        let far = Descriptor(owning: pair.far)
        try step("create", "the Node channel", remedy: descriptorRemedy) { () throws(Errno) in
            if plan.isGated { opened.channel = try far.duplicate() } else { try swallowMessages(to: far) }
        }
        opened.append(far, at: channel.far)
    }
    return opened
}

/// The socket of a gated plan: it does not listen yet, and a Unix socket has a name that clients do not know.
private func hidden(_ socket: SocketPlan) -> SocketPlan {
    var hidden = socket
    hidden.isListening = false
    if let path = socket.address.path {
        clearAbandoned(beside: path)
        let name: ByteString = "\(directory(of: path))/.\(lastComponent(of: path)).\(getpid())"
        // Copies of an earlier deploy may have the name, because it had this process's number.
        var other = name
        for number in 1...9 where exists(other) { other = "\(name).\(number)" }
        hidden.address = .unix(other)
    }
    return hidden
}

/// The cookies of the plan's sockets, in its order.
func cookies(of plan: Plan, _ placements: borrowing OwnedArray<Placement>) throws(Failure) -> [UInt64] {
    var cookies: [UInt64] = []
    for (index, socket) in plan.sockets.enumerated() {
        cookies.append(
            try step("identify", "socket \(socket.name)") { () throws(Errno) in
                try socketCookie(of: placements[index].source)
            })
    }
    return cookies
}

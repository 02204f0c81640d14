/// Refuses what cannot be handed over, before anything is bound.
func check(_ app: AppRequest, _ plan: Plan) throws(Failure) {
    if plan.sockets.isEmpty {
        throw .usage("hand over", "app \(app.name)", "it has no socket", remedy: "add --socket NAME:ADDRESS:PORT")
    }
    if app.watch.count > 0, let socket = plan.sockets.first(where: { $0.transport == .unix }) {
        throw .usage(
            "watch", "socket \(socket.name)", "its path is the new generation's after the cutover",
            remedy: "leave --watch out")
    }
    for (index, socket) in plan.sockets.enumerated() {
        // Two sockets with one address would take each other's connections, and only one of them would be steered.
        for other in plan.sockets[..<index]
        where other.transport == socket.transport && other.address == socket.address {
            throw .usage("hand over", "socket \(socket.name)", "socket \(other.name) has the same address")
        }
        // Probes of this socket go to ::1, where they would reach the other one.
        if case .ipv6(0, 0, let port, _) = socket.address, !socket.isDualStack, socket.transport == .tcp,
            app.readiness.probes(socket.name),
            let front = plan.sockets.first(where: {
                $0.transport == .tcp && $0.address == .ipv6(high: 0, low: 1, port: port, scope: 0)
            })
        {
            throw .usage(
                "hand over", "socket \(socket.name)",
                "a probe of it would reach socket \(front.name), which has [::1]:\(port) to itself",
                remedy: "use \(readinessWithoutProbe)")
        }
        if !socket.isListening {
            throw .usage(
                "hand over", "socket \(socket.name)", "a socket that does not listen cannot be kept from clients")
        }
        if socket.address.port == 0 {
            throw .usage(
                "hand over", "socket \(socket.name)", "with port 0 every generation gets another port",
                remedy: "choose one")
        }
        if socket.transport == .unix && app.copies > 1 && socket.address(of: 0) == socket.address(of: 1) {
            throw .usage(
                "hand over", "socket \(socket.name)", "a path leads to one copy, and --copies says \(app.copies)",
                remedy: "write {copy} for the copy's number in it, as in unix:/run/\(app.name)-{copy}.sock")
        }
    }
    try checkPaths(app.copies, plan)
    try checkReadiness(app, plan)
    try checkListing(
        plan.sockets.map { socket in
            ListenerIdentity(
                name: socket.name, transport: socket.transport, address: socket.address,
                isDualStack: socket.isDualStack, cookie: 0)
        })
}

extension Readiness {
    /// Whether a connection to this socket is made to find out whether a copy is ready.
    fileprivate func probes(_ socket: ByteString) -> Bool {
        switch self {
        case .accept: true
        case .http(let check): check.socket == socket
        default: false
        }
    }
}

/// Refuses a form of readiness that these sockets and descriptors do not allow.
private func checkReadiness(_ app: AppRequest, _ plan: Plan) throws(Failure) {
    switch app.readiness {
    case .accept, .http:
        if app.steering == .off && plan.sockets.contains(where: { $0.transport != .unix }) {
            throw unsteered
        }
        if case .http(let check) = app.readiness,
            !plan.sockets.contains(where: { $0.name == check.socket && $0.transport != .udp })
        {
            let names = plan.sockets.filter { $0.transport != .udp }.map { $0.name }
            throw .usage(
                "parse", "--ready http:\(check.socket)", "there is no tcp or unix socket of this name",
                remedy: names.isEmpty ? nil : "there is \(joined(names, by: ", "))")
        }
    case .descriptor(let number):
        let taken = plan.sockets.map { $0.descriptor } + plan.files.map { $0.descriptor } + plan.keptDescriptors
        if taken.contains(number) || plan.channel.map({ $0.near == number || $0.far == number }) == true {
            throw .usage(
                "parse", "--ready fd:\(number)", "something else is at this descriptor", remedy: "choose a higher one")
        }
    case .notify, .message, .acknowledgement, .command, .none:
        break
    }
}

/// Refuses paths that two copies would share, or that are too long.
private func checkPaths(_ copies: Int, _ plan: Plan) throws(Failure) {
    var seen: [ByteString] = []
    for socket in plan.sockets {
        for copy in 0..<copies {
            let address = socket.address(of: copy)
            guard let path = address.path else { continue }
            // The temporary name beside it is longer by two dots, a pid and a digit.
            try checkLength(address, socket.name, spare: 12)
            if seen.contains(path) {
                throw .usage("hand over", "socket \(socket.name)", "two copies would have the path \(path)")
            }
            seen.append(path)
        }
    }
}

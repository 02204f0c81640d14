extension Plan {
    /// Makes this the plan of the copy that is asked for.
    mutating func choose(_ request: AppRequest) {
        choose(copy: request.copy, startsSuspended: request.isSuspended)
    }
}

/// Refuses what cannot be handed over, before anything is bound.
func check(_ app: AppRequest, _ plan: Plan) throws(Failure) {
    if plan.sockets.isEmpty {
        throw .usage("hand over", "app \(app.name)", "it has no socket", remedy: "add --socket, or leave --app out")
    }
    for (index, socket) in plan.sockets.enumerated() {
        // Two sockets with one address would take each other's connections, and only one of them would be steered.
        for other in plan.sockets[..<index]
        where other.transport == socket.transport && other.address == socket.address {
            throw .usage("hand over", "socket \(socket.name)", "socket \(other.name) has the same address")
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
}

/// Refuses a form of readiness that these sockets and descriptors do not allow.
private func checkReadiness(_ app: AppRequest, _ plan: Plan) throws(Failure) {
    switch app.readiness {
    case .accept, .http:
        if app.steering == .off && plan.sockets.contains(where: { $0.transport != .unix }) {
            throw .usage(
                "parse", "--steering off", "without steering there is no way to probe one copy",
                remedy: "add --ready notify, fd:N, exec:CMD or none")
        }
        if case .http(let name, _) = app.readiness,
            !plan.sockets.contains(where: { $0.name == name && $0.transport != .udp })
        {
            throw .usage("parse", "--ready http:\(name)", "there is no tcp or unix socket of this name")
        }
    case .descriptor(let number):
        let taken = plan.sockets.map { $0.descriptor } + plan.files.map { $0.descriptor } + plan.keptDescriptors
        if taken.contains(number) || plan.channel.map({ $0.near == number || $0.far == number }) == true {
            throw .usage(
                "parse", "--ready fd:\(number)", "something else is at this descriptor", remedy: "choose a higher one")
        }
    case .notify, .message, .command, .none:
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

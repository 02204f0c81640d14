/// Refuses what cannot be handed over, before anything is bound.
func check(_ app: AppRequest, _ plan: Plan) throws(Failure) {
    if plan.sockets.isEmpty {
        throw .usage("hand over", "app \(app.name)", "it has no socket", remedy: "add --socket, or leave --app out")
    }
    for (index, socket) in plan.sockets.enumerated() {
        // Each would take connections of the other, and stand in a slot of one of two maps that one program knows.
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
        if socket.transport == .unix && app.copies > 1 {
            throw .usage(
                "hand over", "socket \(socket.name)", "a path leads to one copy, and --copies says \(app.copies)",
                remedy: "give each copy an app and a path of its own")
        }
    }
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

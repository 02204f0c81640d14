import CLinux

/// Checks, before anything is stopped, that it could be started again. Binds nothing, because datagrams would come to
/// the socket.
func checkStart(_ deploy: PreparedDeploy) throws(Failure) {
    let plan = deploy.plan
    if deploy.options.supervision == nil, deploy.options.log != .syslog {
        _ = try Outputs(
            deploy.options.log, app: deploy.request.name, deploy.numbers, for: plan.identity.user)
    }
    var leftovers = Leftovers()
    do throws(Failure) {
        // An `excl` file may exist until the old copy exits, so it is not checked.
        for file in plan.files where !file.request.isExclusive { _ = try openFile(file, leftovers: &leftovers) }
    } catch {
        leftovers.remove()
        throw error
    }
    leftovers.remove()
    let addresses = plan.sockets.map { $0.address }
    for address in addresses {
        if let path = address.path, path.hasPrefix("/") { _ = try followPath(path, object: "socket \(path)") }
    }
    // The supervisor has a PATH of its own.
    guard let program = plan.command.first?.filled(addresses, copy: plan.copy),
        deploy.options.supervision == nil || program.contains(UInt8(ascii: "/")),
        let words = rehearse(plan)
    else { return }
    throw Failure(.negative, "start", "copies of app \(deploy.request.name)", words)
}

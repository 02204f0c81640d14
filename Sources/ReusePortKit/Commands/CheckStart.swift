import CLinux

/// Checks, before anything is stopped, that it could be started again. Binds nothing, because datagrams would come to
/// the socket.
func checkStart(_ deploy: PreparedDeploy) throws(Failure) {
    let plan = deploy.plan
    if deploy.options.supervision == nil, deploy.options.log != .syslog {
        _ = try Outputs(deploy.options.log, app: deploy.request.name, deploy.numbers)
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
    // In another root the program sees other files than we do.
    guard plan.chroot == nil, let program = plan.command.first?.filled(addresses) else { return }
    // Only the program's user may be able to see it, as on NFS; root gets EACCES then.
    if let path = plan.chdir, !exists(path) {
        let reason = Errno.current
        if reason != .accessDenied { throw Failure("enter", path, reason) }
    }
    // The supervisor has a PATH of its own.
    if deploy.options.supervision != nil, !program.contains(UInt8(ascii: "/")) { return }
    let environment = buildEnvironment(
        plan, caller: callersEnvironment(), addresses: addresses, announcement: Announcement())
    _ = try locateTarget(program, environment: environment, directory: plan.chdir ?? ".")
}

import CLinux

/// Before anything is stopped: what could not be started again had better run on. Nothing is bound, for datagrams would
/// come to what is.
func checkStart(_ deploy: PreparedDeploy, _ copies: [Int]) throws(Failure) {
    let plan = deploy.plan
    if deploy.options.deploy.supervision == nil, deploy.options.deploy.log != .syslog {
        _ = try Outputs(deploy.options.deploy.log, app: deploy.app.name, copies)
    }
    var leftovers = Leftovers()
    do throws(Failure) {
        // What is to be there once only may be there until the program ends.
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
    // What is where in another root, the program sees in its own way.
    guard plan.chroot == nil, let program = plan.command.first?.filled(addresses) else { return }
    // It may be there for the program's user only, as on NFS: then root is told something else.
    if let path = plan.chdir, !exists(path) {
        let reason = Errno.current
        if reason != .accessDenied { throw Failure("enter", path, reason) }
    }
    // The supervisor has a PATH of its own.
    if deploy.options.deploy.supervision != nil, !program.contains(UInt8(ascii: "/")) { return }
    let environment = buildEnvironment(
        plan, caller: callersEnvironment(), addresses: addresses, announcement: Announcement())
    _ = try locateTarget(program, environment: environment, directory: plan.chdir ?? ".")
}

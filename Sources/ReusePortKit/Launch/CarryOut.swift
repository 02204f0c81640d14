import CLinux

/// Carries out the plan and executes the target. Returns only if that fails, with the reason.
///
/// A failure at any step leaves nothing behind: sockets and files close with this process, and names that were made in
/// the file system are removed, even if this process has given up the rights to do so meanwhile.
///
/// `callersDescriptors` must be open, although the target does not get them. `beforeTheDrop` runs with the caller's
/// rights when everything is open.
func carryOut(
    _ plan: Plan, callersDescriptors: [Int32] = [],
    beforeTheDrop: (inout Opened) throws(Failure) -> Void = { _ in }
) -> Failure {
    var leftovers = Leftovers()
    do throws(Failure) {
        try openStandardDescriptors()
        try checkKept(plan.keptDescriptors + callersDescriptors)
        var opened = try openAll(plan, &leftovers)
        try leftovers.stepAside(from: opened.highestTarget + 1)
        try beforeTheDrop(&opened)
        return becomeTarget(plan, opened, leftovers)
    } catch {
        leftovers.remove()
        return error
    }
}

/// Drops the rights and executes the target. A failure cannot be undone, so it ends this process.
func becomeTarget(_ plan: Plan, _ opened: consuming Opened, _ leftovers: consuming Leftovers) -> Failure {
    guard !leftovers.isEmpty, plan.identity.user != nil || plan.chroot != nil else {
        let failure = dropAndExecute(plan, opened)
        leftovers.remove()
        return failure
    }
    do throws(Failure) {
        let cleaner = try Cleaner(leftovers)
        let failure = dropAndExecute(plan, opened)
        cleaner.cleanUp()
        return failure
    } catch {
        opened.tell(error)
        return error
    }
}

private func dropAndExecute(_ plan: Plan, _ opened: consuming Opened) -> Failure {
    let failure = tryToExecute(plan, &opened)
    opened.tell(failure)
    return failure
}

private func tryToExecute(_ plan: Plan, _ opened: inout Opened) -> Failure {
    do throws(Failure) {
        // The target may open its log by name, as /dev/stderr: a pipe to a logger is its caller's.
        if plan.identity.user != nil {
            clinux_let_write_to_pipe(1)
            clinux_let_write_to_pipe(2)
        }
        try joinGroup(opened.group)
        if let path = plan.chroot { try changeRoot(path) }
        try changeIdentity(plan.identity)
        if let path = plan.chdir { try changeDirectory(path) }
        if let mask = plan.umask { _ = umask(mask) }
        if plan.noNewPrivileges { try forbidNewPrivileges() }
        var announcement = announce(plan, opened.addresses, start: opened.start, waits: opened.waits)
        if plan.library != nil { announcement.addAdoptable(plan, cookies: try cookies(of: plan, opened.placements)) }
        if plan.isGated { announcement.setReadiness(opened.readiness) }
        let environment = buildEnvironment(
            plan, caller: callersEnvironment(), addresses: opened.addresses, announcement: announcement)
        let command = plan.command.map { $0.filled(opened.addresses, copy: plan.copy) } + announcement.arguments
        // The target asks for its sockets; it could not close another copy that it inherited.
        if plan.sendsSockets { for _ in plan.sockets { _ = opened.placements.remove(at: 0) } }
        try placeDescriptors(&opened.placements, keeping: plan.keptDescriptors)
        if plan.files.contains(where: { $0.request.truncates }) {
            // Emptying a file cannot be undone, so it must not happen for a command that does not exist.
            if let failure = checkTarget(command, environment: environment) { return failure }
        }
        for file in plan.files where file.request.truncates {
            try step("truncate", file.path) { () throws(Errno) in try uninterrupted { ftruncate(file.descriptor, 0) } }
        }
        return executeTarget(command, environment: environment)
    } catch {
        return error
    }
}

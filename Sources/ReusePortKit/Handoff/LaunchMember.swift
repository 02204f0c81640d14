import CLinux

/// `--app` in the launcher: registers this process as a copy, and starts the helper that coordinates it.
func launchMember(
    _ plan: Plan, _ request: AppRequest, _ opened: inout Opened, _ report: Reporter
) throws(Failure) {
    try checkNotifyAccess()
    let registry = try openRegistry(of: request)
    let channel = try opened.makeReadinessChannel(plan, request, in: registry)
    let exec = try ExecPipe.make(from: opened.highestTarget + 1)
    let execReport = exec.report
    opened.exec = consume execReport
    var prepared = OwnedArray<PreparedCopy>()
    prepared.append(
        PreparedCopy(
            number: request.copy, listeners: try identify(plan, opened.placements, opened.addresses),
            channel: channel, exec: exec.watch,
            // The process is opened now, so that the helper watches it even if it ends at once.
            origin: .launcher(
                CopyProcess(
                    handle: try watchProcess(getpid()), sockets: try opened.duplicateSockets(plan.sockets.count)))))
    let coordinator = try register(prepared, plan, request, in: registry, by: .helper, report)
    opened.group = coordinator.members[0].record.group
    opened.waits = coordinator.members[0].record.channel?.waits == true
    opened.start = coordinator.firstStart
}

extension Opened {
    /// Copies the sockets for the helper, because this process gives its own away to the target.
    fileprivate func duplicateSockets(_ count: Int) throws(Failure) -> OwnedArray<Placement> {
        var result = OwnedArray<Placement>()
        for index in 0..<count {
            let copy = try step("copy", "descriptor for the helper", remedy: descriptorRemedy) { () throws(Errno) in
                try placements[index].source.duplicate()
            }
            result.append(Placement(source: copy, target: placements[index].target))
        }
        return result
    }
}

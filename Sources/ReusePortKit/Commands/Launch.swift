/// The command without a verb: becomes the target, as a plain program or, with `--app`, as a copy that takes over.
func launch(_ options: Options) throws(Failure) {
    let plan = try Plan(options)
    let app = options.app
    if options.isDryRun { return try write(options.isJSON ? showAsJSON(plan, app) : show(plan, app)) }
    throw carryOut(plan, callersDescriptors: app?.callersDescriptors ?? []) { opened throws(Failure) in
        guard let app else { return nil }
        return try handOver(app, plan, &opened)
    }
}

/// Registers the copy, listens, and starts the helper that hands over. Answers the socket at which the target is to say
/// that it is ready, if there is one.
private func handOver(_ app: AppRequest, _ plan: Plan, _ opened: inout Opened) throws(Failure) -> ByteString? {
    var highest = opened.highestTarget
    if case .descriptor(let number) = app.readiness { highest = max(highest, number) }
    var channel = try ReadinessChannel.make(app.readiness)
    channel.node = opened.channel.take()
    var enrolment = try enrol(
        app, plan, opened.placements, opened.addresses, channel: channel, exec: try ExecChannel.make(from: highest + 1))
    opened.waits = enrolment.record.channel?.waits == true
    if case .descriptor(let number) = app.readiness, let end = enrolment.channel.takeWriteEnd() {
        opened.append(end, at: number)
    }
    let name = enrolment.channel.notifySocketName
    opened.group = enrolment.record.group
    let exec = enrolment.exec
    opened.exec = consume exec
    return name
}

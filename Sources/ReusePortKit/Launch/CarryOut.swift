import CLinux

/// Does what the plan says, and ends in the target: returns only to say why it could not.
///
/// A failure at any step leaves nothing behind: what was bound or opened closes with this process, and names that were
/// made in the file system are removed, even if the rights to do so have been given up meanwhile.
func carryOut(_ plan: Plan) -> Failure {
    var leftovers = Leftovers()
    do throws(Failure) {
        try openStandardDescriptors()
        try checkKept(plan.keptDescriptors + (plan.app?.callersDescriptors ?? []))
        var opened = try openAll(plan, &leftovers)
        try leftovers.stepAside(from: opened.highestTarget + 1)
        let readiness = try handOver(plan, &opened)
        return finish(plan, opened, leftovers, readiness)
    } catch {
        leftovers.remove()
        return error
    }
}

/// What is open by the time the rights to open more are given up.
struct Opened: ~Copyable {
    var placements = OwnedArray<Placement>()
    var addresses: [SocketAddress] = []
    /// Until the exec; nil without `--app`.
    var exec: ExecReport?
    /// The far end of the Node channel, for who reads it. Nil without `--app`.
    var channel: Descriptor?
    /// Whether the target is told to wait.
    var waits = false
    /// To be joined before the rights to do so are given up.
    var group: CopyGroup?

    var highestTarget: Int32 {
        var highest: Int32 = 2
        for index in 0..<placements.count { highest = max(highest, placements[index].target) }
        return highest
    }

    /// Whoever waits is not to take the end of this process for the exec.
    borrowing func tell(_ failure: Failure) {
        switch exec {
        case .some(let exec): exec.tell(failure)
        case .none: break
        }
    }

    mutating func append(_ source: consuming Descriptor, at target: Int32) {
        placements.append(Placement(source: source, target: target))
    }
}

/// Binds all sockets, then opens all files.
func openAll(_ plan: Plan, _ leftovers: inout Leftovers) throws(Failure) -> Opened {
    var opened = Opened()
    for socket in plan.sockets {
        let bound =
            plan.app == nil
            ? try bindSocket(socket, leftovers: &leftovers)
            : try bindSocket(hidden(socket), leftovers: &leftovers, takesStale: false)
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
            if plan.app == nil { try swallowMessages(to: far) } else { opened.channel = try far.duplicate() }
        }
        opened.append(far, at: channel.far)
    }
    return opened
}

/// With `--app`: registers the copy, listens, and starts the helper. Answers where the target is to say that it is
/// ready.
private func handOver(_ plan: Plan, _ opened: inout Opened) throws(Failure) -> ByteString? {
    guard let app = plan.app else { return nil }
    let view = HandoffView(app: app.name, verbosity: app.verbosity, descriptor: app.logDescriptor)
    return try launchMember(plan, app, &opened, view.reporter)
}

/// The socket as it is bound first: clients find it only when its copy is ready.
private func hidden(_ socket: SocketPlan) -> SocketPlan {
    var hidden = socket
    hidden.isListening = false
    if let path = socket.address.path {
        clearAbandoned(beside: path)
        let name: ByteString = "\(directory(of: path))/.\(lastComponent(of: path)).\(getpid())"
        // The copies of a deploy that has ended keep its number in their names.
        var other = name
        for number in 1...9 where other.withCString({ access($0, F_OK) }) == 0 { other = "\(name).\(number)" }
        hidden.address = .unix(other)
    }
    return hidden
}

/// The steps after which there is no way back.
func finish(
    _ plan: Plan, _ opened: consuming Opened, _ leftovers: consuming Leftovers, _ readiness: ByteString?
) -> Failure {
    guard !leftovers.isEmpty, plan.identity.user != nil || plan.chroot != nil else {
        let failure = dropAndExecute(plan, opened, readiness)
        leftovers.remove()
        return failure
    }
    do throws(Failure) {
        let cleaner = try Cleaner(leftovers)
        let failure = dropAndExecute(plan, opened, readiness)
        cleaner.cleanUp()
        return failure
    } catch {
        opened.tell(error)
        return error
    }
}

private func dropAndExecute(_ plan: Plan, _ opened: consuming Opened, _ readiness: ByteString?) -> Failure {
    let failure = tryToExecute(plan, &opened, readiness)
    opened.tell(failure)
    return failure
}

private func tryToExecute(_ plan: Plan, _ opened: inout Opened, _ readiness: ByteString?) -> Failure {
    do throws(Failure) {
        try joinGroup(opened.group)
        if let path = plan.chroot { try changeRoot(path) }
        try changeIdentity(plan.identity)
        if let path = plan.chdir { try changeDirectory(path) }
        if let mask = plan.umask { _ = umask(mask) }
        if plan.noNewPrivileges { try forbidNewPrivileges() }
        var announcement = announce(plan, opened.addresses, waits: opened.waits)
        if plan.library != nil {
            announcement.addAdoptable(plan, try identify(plan, opened.placements, opened.addresses))
        }
        if plan.app != nil { announcement.setReadiness(readiness) }
        let environment = buildEnvironment(
            plan, caller: callersEnvironment(), addresses: opened.addresses, announcement: announcement)
        let command = plan.command.map { $0.filled(opened.addresses) } + announcement.arguments
        // Whoever answers the target has them: what it had twice it could not close.
        if plan.sendsSockets { for _ in plan.sockets { _ = opened.placements.remove(at: 0) } }
        try placeDescriptors(&opened.placements, keeping: plan.keptDescriptors)
        if plan.files.contains(where: { $0.request.truncates }) {
            // There is no way back from emptying a file: not for a mistake in the command's name.
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

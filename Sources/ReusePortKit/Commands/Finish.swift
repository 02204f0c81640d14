import CLinux

/// `finish`: records how a copy has ended, and returns when its supervisor may start it again; or has it stay down.
func finish(_ request: VerbRequest, _ directory: ByteString) throws(Failure) {
    let app = request.app ?? ""
    let label = request.generation ?? ""
    // A unit's ExecStopPost= is run after a start that has failed as well.
    guard let ending = request.ending ?? ProcessEnd.fromEnvironment() else { return }
    let log = LogLines(descriptor: 2, verbosity: .steps, subject: "\(app) \(label)")
    let supervisor = Supervisor.current() ?? supervisorOfWorkingDirectory(request)
    // What it was told until now is heeded, and what it is told from now on is not undone: it may be to start anew.
    let isToldDown = supervisor?.status.map { !$0.isWantedUp } ?? false
    var finished = Finished(reason: EndReason(ending))
    do throws(Failure) {
        finished = try record(ending, request, directory)
    } catch {
        // The pause before the next start is kept all the same.
        log.warning(error.message)
    }
    let isDown = finished.isOver || finished.isPermanent || isToldDown
    if let command = request.onExit { runOnExit(command, ending, request, finished, isDown, log) }
    guard isDown else {
        pause(finished.pause, supervisor, log, finished.reason.description)
        // It may have been replaced meanwhile, or ended.
        guard finished.pause.count > 0, isOver(request, directory) else { return }
        keepDown(supervisor, log)
        removeOwnService(supervisor, request, log)
        if case .s6? = supervisor { exit(125) }
        return
    }
    if finished.isPermanent { log.step("copy \(request.copy ?? 0) \(finished.reason.description), and stays down") }
    if !isToldDown { keepDown(supervisor, log) }
    if finished.isOver { removeOwnService(supervisor, request, log) }
    // s6 takes this as "keep it down", should it not have read what it was told.
    if case .s6? = supervisor, !isToldDown { exit(125) }
}

/// What is known of a copy that has ended.
struct Finished {
    var pid: Int32?
    var crashes: Crashes?
    var reason: EndReason
    /// Its generation has been replaced, or has failed.
    var isOver = false
    var isPermanent = false
    /// Without a record, the launcher has failed before it had one, and there is nothing to count in.
    var pause = Milliseconds.seconds(5)
}

/// Writes it down; answers what follows.
private func record(
    _ ending: ProcessEnd, _ request: VerbRequest, _ directory: ByteString
) throws(Failure) -> Finished {
    let copy = request.copy ?? 0
    var finished = Finished(reason: EndReason(ending))
    if case .exited(let code) = ending { finished.isPermanent = request.permanent.contains { $0.contains(Int(code)) } }
    guard let registry = try Registry.open(request.app ?? "", in: directory, create: false) else { return finished }
    // Of a copy that was to be ready, its helper has the first word.
    let deadline = Deadline(after: .seconds(10))
    while true {
        let changes = try step("watch", registry.path) { () throws(Errno) in try FileWatch(in: registry) }
        let lock = try registry.lock(until: deadline)
        var state = AppState.reconciled(registry)
        guard let generation = state.app.generations.last(where: { $0.label == request.generation }) else {
            if isLaunchersOwn(ending) {
                noteLaunchFailure(ending, request, registry)
            } else {
                // Forgotten, long after another has taken over. Nothing is known at all after a boot.
                finished.isOver = state.app.live != nil
            }
            return finished
        }
        finished.isOver = isOver(copy, of: generation)
        guard var record = state.copies(of: generation.id).first(where: { $0.copy == copy }) else {
            if isLaunchersOwn(ending) { noteLaunchFailure(ending, request, registry) }
            return finished
        }
        if generation.state == .starting, record.helper != nil, record.state == .ended, !deadline.hasPassed {
            lock.release(closing: ())
            changes.wait(until: min(deadline, Deadline(after: Milliseconds(100))))
            continue
        }
        // What was told to stop has not crashed, whatever code it has for that.
        let isTold = ending == .killed(record.stopSignal) || record.reason?.cause == .toldToStop
        if ending == .exited(0) || isTold {
            record.crashes = nil
        } else {
            record.crashes = Crashes.after(record.crashes, start: record.since, now: secondsSince1970())
        }
        finished.crashes = record.crashes
        finished.pause = record.crashes?.pause ?? Milliseconds(0)
        // Else somebody has started the copy in another way meanwhile, and it is not its end.
        if record.state == .ended {
            finished.pid = record.process.pid
            if !isBetter(record.reason, than: ending, finished) { record.reason = EndReason(ending) }
            finished.reason = record.reason ?? EndReason(ending)
        }
        state.replace(record)
        try state.store(in: registry)
        lock.release(closing: ())
        return finished
    }
}

/// Whether the record tells more than the end of the process: that we stopped the copy, or that the kernel ended it for
/// want of memory.
private func isBetter(_ known: EndReason?, than ending: ProcessEnd, _ finished: Finished) -> Bool {
    guard let known else { return false }
    if known.isOutOfMemory && ending == .killed(SIGKILL) { return true }
    return finished.isOver && known.cause != .unknown
}

/// Whether this copy is not wanted any more.
private func isOver(_ request: VerbRequest, _ directory: ByteString) -> Bool {
    guard let registry = try? Registry.open(request.app ?? "", in: directory, create: false),
        let generation = AppState.reconciled(registry).app.generations.last(where: { $0.label == request.generation })
    else { return false }
    return isOver(request.copy ?? 0, of: generation)
}

/// Of a live generation too, if it has been given fewer copies.
private func isOver(_ copy: Int, of generation: GenerationRecord) -> Bool {
    generation.state != .live && generation.state != .starting || copy >= generation.copies
}

/// Whether this is how the launcher ends that has not come so far as to register its copy.
private func isLaunchersOwn(_ ending: ProcessEnd) -> Bool {
    let codes: [Failure.Code] = [.usage, .system, .notExecutable, .notFound]
    return codes.contains { ending == .exited($0.rawValue) }
}

/// Tells the deploy that has written this service, and waits for its copy to come.
private func noteLaunchFailure(_ ending: ProcessEnd, _ request: VerbRequest, _ registry: borrowing Registry) {
    guard ServiceMarker.fileName.withCString({ access($0, F_OK) }) == 0 else { return }
    _ = try? registry.store(
        launchFailure: "\(ending.description) before it was registered", request.generation ?? "", request.copy ?? 0)
}

/// For scripts that run us as a child: the directory in which supervisors start the finish script.
private func supervisorOfWorkingDirectory(_ request: VerbRequest) -> Supervisor? {
    guard let directory = try? workingDirectory(), let file = try? open("supervise/status", O_RDONLY | O_NONBLOCK),
        let bytes = try? readAll(file, atMost: 4096)
    else { return nil }
    return ServiceStatus(bytes.bytes, isS6: false) != nil ? .runit(directory) : .s6(directory)
}

/// Waits before the supervisor starts the copy again; a word that it is to stay down, and TERM, end the wait.
private func pause(_ length: Milliseconds, _ supervisor: Supervisor?, _ log: LogLines, _ what: ByteString) {
    if length.count == 0 { return }
    log.step("\(what); it is started again after \(length.description)")
    let deadline = Deadline(after: length)
    let changes = supervisor?.serviceFolder.map { "\($0)/supervise" as ByteString }
    while !deadline.hasPassed {
        if let status = supervisor?.status, !status.isWantedUp { return }
        // Without inotify it is looked at now and then.
        guard let changes, let watch = try? FileWatch(in: changes) else {
            _ = poll(nil, 0, min(deadline, Deadline(after: Milliseconds(500))).pollTimeout)
            continue
        }
        // What has changed before the watch was there is seen after a moment.
        watch.wait(until: min(deadline, Deadline(after: .seconds(1))))
    }
}

/// Returns once the supervisor knows that the copy is not to be started again.
private func keepDown(_ supervisor: Supervisor?, _ log: LogLines) {
    guard let supervisor else { return }
    do throws(Failure) {
        try supervisor.keepDown(.down)
    } catch {
        log.warning(error.message)
    }
}

import CLinux

/// `finish`: records how a copy has ended, and returns when its supervisor may start it again; or has it stay down.
func finish(_ request: VerbRequest, _ directory: ByteString) throws(Failure) {
    // A unit's ExecStopPost= is run after a start that has failed as well.
    guard let ending = request.ending ?? ProcessEnd.fromEnvironment() else { return }
    let log = LogLines(
        descriptor: 2, verbosity: request.verbosity, subject: "\(request.app ?? "") \(request.generation ?? "")")
    let supervisor = Supervisor.current() ?? supervisorOfWorkingDirectory(request)
    var finished = Finished(ending)
    // What the supervisor was told until now counts. What it is told from now on is left as it is: it may be told to
    // start the copy.
    finished.isToldDown = supervisor?.status.map { !$0.isWantedUp } ?? false
    do throws(Failure) {
        finished = try record(finished, request, directory)
        // Under a supervisor its successor is the next one that is started.
        if let left = finished.left, let registry = try Registry.open(request.app ?? "", in: directory, create: false) {
            let report = HandoffView(app: registry.app, verbosity: request.verbosity).reporter
            try endAbandoned([request.copy ?? 0], of: left, in: registry, report)
        }
    } catch {
        // The pause before the next start is kept all the same.
        log.warning(error.message)
    }
    if let command = request.onExit { runOnExit(command, finished, request, log) }
    guard finished.isDown else {
        pause(finished.pause, supervisor, log, finished.reason.description)
        // Its generation may have been replaced or ended meanwhile.
        guard finished.pause.count > 0, isOver(request, directory) else { return }
        keepDown(supervisor, log)
        removeOwnService(supervisor, request, log)
        if case .s6? = supervisor { exit(125) }
        return
    }
    if finished.isPermanent { log.step("copy \(request.copy ?? 0) \(finished.reason.description), and stays down") }
    if !finished.isToldDown { keepDown(supervisor, log) }
    if finished.isOver { removeOwnService(supervisor, request, log) }
    // s6 takes this as "keep it down", should it not have read what it was told.
    if case .s6? = supervisor, !finished.isToldDown { exit(125) }
}

/// A copy that has ended, as far as it is known.
struct Finished {
    let ending: ProcessEnd
    var reason: EndReason
    var pid: Int32?
    var crashes: Crashes?
    /// The live generation, in which something may be left of it.
    var left: UInt64?
    /// Whether its generation has been replaced, or has failed.
    var isOver = false
    /// Whether `--permanent` has its exit code.
    var isPermanent = false
    /// Whether its supervisor keeps it down already.
    var isToldDown = false
    /// The time until it may be started again. Without a record the launcher has failed before it made one, and crashes
    /// cannot be counted.
    var pause = Milliseconds.seconds(5)

    init(_ ending: ProcessEnd) {
        self.ending = ending
        // systemd says so whatever process of the unit the kernel ended, and tells the others to stop.
        let ranOut = environmentVariable("SERVICE_RESULT") == "oom-kill"
        reason = ranOut ? EndReason(.outOfMemory(OutOfMemory())) : EndReason(ending)
    }

    /// Whether it is not started again.
    var isDown: Bool { isOver || isPermanent || isToldDown }
}

/// Records the end of a copy, and finds out what follows from it.
private func record(
    _ finished: Finished, _ request: VerbRequest, _ directory: ByteString
) throws(Failure) -> Finished {
    var finished = finished
    if case .exited(let code) = finished.ending {
        finished.isPermanent = request.permanent.contains { $0.contains(Int(code)) }
    }
    guard let registry = try Registry.open(request.app ?? "", in: directory, create: false) else { return finished }
    let deadline = Deadline(after: .seconds(10))
    while true {
        let changes = try step("watch", registry.path) { () throws(Errno) in try FileWatch(in: registry) }
        let lock = try registry.lock(until: deadline)
        let state = AppState.reconciled(registry)
        let known = state.app.generations.last { $0.label == request.generation }
        // Without a generation, another one took over long ago, unless nothing is known at all after a boot.
        finished.isOver =
            known.map { isOver(request.copy ?? 0, of: $0) }
            ?? (!isLaunchersOwn(finished.ending) && state.app.live != nil)
        guard let generation = known,
            let record = state.copies(of: generation.id).first(where: { $0.copy == request.copy ?? 0 })
        else {
            if isLaunchersOwn(finished.ending) { noteLaunchFailure(finished.ending, request, registry) }
            return finished
        }
        // The helper of a copy that was not ready yet records the reason first.
        if generation.state == .starting, record.helper != nil, record.hasGone, !deadline.hasPassed {
            lock.release(closing: ())
            changes.wait(until: min(deadline, Deadline(after: Milliseconds(100))))
            continue
        }
        finished.update(record)
        state.replace(record)
        // Its helper has seen only the signal.
        if finished.reason.isOutOfMemory,
            case .failed(record.copy, EndReason(.ended(.killed(SIGKILL)))) = generation.outcome
        {
            state.close(generation.id, .failed, .failed(copy: record.copy, finished.reason))
        }
        try state.store(in: registry)
        lock.release(closing: ())
        if generation.state == .live { finished.left = generation.id }
        return finished
    }
}

extension Finished {
    /// Counts the crash in the copy's record, and records the reason.
    fileprivate mutating func update(_ record: CopyRecord) {
        // A copy that was told to stop has not crashed, whatever its exit code.
        let wasTold = ending == .killed(record.stopSignal) || record.reason?.cause == .toldToStop
        if !reason.isOutOfMemory, ending == .exited(0) || wasTold {
            record.crashes = nil
        } else {
            record.crashes = Crashes.after(record.crashes, start: record.since, now: secondsSince1970())
        }
        crashes = record.crashes
        pause = record.crashes?.pause ?? Milliseconds(0)
        // If the copy runs, somebody has started it in another way meanwhile, and this is not its end.
        guard record.hasGone else { return }
        pid = record.process.pid
        if !isBetter(record.reason) { record.reason = reason }
        reason = record.reason ?? reason
    }

    /// Whether the record says more than the end of the process: that we stopped the copy, or that the kernel ended it
    /// because memory ran out.
    private func isBetter(_ known: EndReason?) -> Bool {
        guard let known else { return false }
        if known.isOutOfMemory && ending == .killed(SIGKILL) { return true }
        return isOver && known.cause != .unknown && !reason.isOutOfMemory
    }
}

/// Whether this copy is not wanted any more.
private func isOver(_ request: VerbRequest, _ directory: ByteString) -> Bool {
    guard let registry = try? Registry.open(request.app ?? "", in: directory, create: false),
        let generation = AppState.reconciled(registry).app.generations.last(where: { $0.label == request.generation })
    else { return false }
    return isOver(request.copy ?? 0, of: generation)
}

/// Also true in a live generation that has fewer copies by now.
private func isOver(_ copy: Int, of generation: GenerationRecord) -> Bool {
    generation.state != .live && generation.state != .starting || copy >= generation.copies
}

/// Whether the launcher ends like this when it has not registered its copy.
private func isLaunchersOwn(_ ending: ProcessEnd) -> Bool {
    let codes: [Failure.Code] = [.usage, .system, .notExecutable, .notFound]
    return codes.contains { ending == .exited($0.rawValue) }
}

/// Tells the deploy that has written this service, and waits for its copy to register, unless the launcher has.
private func noteLaunchFailure(_ ending: ProcessEnd, _ request: VerbRequest, _ registry: Registry) {
    let (label, copy) = (request.generation ?? "", request.copy ?? 0)
    if registry.loadLaunchFailure(label, copy) == nil {
        registry.note(launchFailure: "\(ending.description) before it was registered", label, copy)
    }
}

/// Finds the supervisor for a script that runs us as a child, by the directory in which finish scripts are started.
private func supervisorOfWorkingDirectory(_ request: VerbRequest) -> Supervisor? {
    guard let directory = try? workingDirectory(), let file = try? openStatus(in: directory),
        let bytes = try? readAll(file, atMost: 4096)
    else { return nil }
    return ServiceStatus(bytes.bytes, isS6: false) != nil ? .runit(directory) : .s6(directory)
}

/// Waits before the supervisor starts the copy again. The wait ends early if the supervisor is told to keep it down, and
/// with TERM.
private func pause(_ length: Milliseconds, _ supervisor: Supervisor?, _ log: LogLines, _ what: ByteString) {
    if length.count == 0 { return }
    log.step("\(what); it is started again after \(length.description)")
    let deadline = Deadline(after: length)
    let changes = supervisor?.serviceFolder.map { "\($0)/supervise" as ByteString }
    while !deadline.hasPassed {
        if let status = supervisor?.status, !status.isWantedUp { return }
        // Without inotify (too many watches) the status is read now and then.
        guard let changes, let watch = try? FileWatch(in: changes) else {
            _ = poll(nil, 0, min(deadline, Deadline(after: Milliseconds(500))).pollTimeout)
            continue
        }
        // Not longer than a second: the status may have changed before the watch began.
        watch.wait(until: min(deadline, Deadline(after: .seconds(1))))
    }
}

/// Tells the supervisor not to start the copy again, and returns when it knows. Not a systemd that has been told more:
/// a job is a stop, or a start that somebody waits for, which a stop would cancel.
private func keepDown(_ supervisor: Supervisor?, _ log: LogLines) {
    guard let supervisor, supervisor.show("Job").first?.dropFirst(4).decimal ?? 0 == 0 else { return }
    do throws(Failure) {
        try supervisor.keepDown(.down)
    } catch {
        log.warning(error.message)
    }
}

/// The text for an event of a handoff.
struct HandoffWords {
    let level: LogLevel
    let text: ByteString
    /// Whether `--debug` adds the time in microseconds, which benchmarks read.
    var isTimed = false

    init(_ level: LogLevel, _ text: ByteString, timed: Bool = false) {
        (self.level, self.text, isTimed) = (level, text, timed)
    }

    /// Nil for an event that is shown in another way, or not at all.
    init?(_ event: HandoffEvent) {
        switch event {
        case .coordinating, .registered, .copy, .awaitingSiblings, .draining, .stopping, .keepingPaths, .output,
            .served, .readiness(.elapsed):
            return nil
        case .tookOver(let old):
            self.init(.step, "took over\(old.map { " from generation \($0)" } ?? "")", timed: true)
        case .keepsCopies(let count): self.init(.step, "keeps \(count) copies, since --copies is not given")
        case .changesCopies(let count, let before): self.init(.step, "\(copyCount(count)), \(before) before")
        case .leavesOut(let options, let label, let isUser):
            self.init(
                isUser ? .warning : .step,
                "not given, unlike for generation \(label): \(joined(options, by: ", ")) (migrate keeps what is left out)"
            )
        case .goesBack(let label, let directory, let count):
            self.init(
                .step,
                """
                goes back to command, options and environment of generation \(label), with what is in \(directory) now \
                and \(copyCount(count))
                """)
        case .keepsName(let name, let directory):
            self.init(.step, "migrate and boot follow \(name): let it lead to \(directory) for now")
        case .watching(let label, let time):
            let back: ByteString = label.map { "; until then generation \($0) can come back" } ?? ""
            self.init(.step, "serves, and is watched for \(time.description)\(back)")
        case .cameBack(let label): self.init(.warning, "generation \(label) gets the connections again", timed: true)
        case .servesOn(let live): self.init(.step, "nothing was started; \(live.description)")
        case .isKept(let directory):
            self.init(.step, "is kept in \(directory) for reuseport-exec boot: see help enable for who calls that")
        case .runsAsRoot: self.init(.step, "runs as root, since --user is not given")
        case .leavesLog(let path): self.init(.step, "the log stays: \(path)")
        case .runsElsewhere(let directory): self.init(.step, "starts what is in \(directory), where it was deployed")
        case .changesDirectory(let directory, let before, let label):
            self.init(.step, "starts in \(directory); generation \(label) was started in \(before)")
        case .goesOn(let label): self.init(.step, "generation \(label) serves again")
        case .isOwnersAlone(let path, let owner):
            self.init(
                .step, "only \(owner) can connect to \(path): add ,owner=USER, or ,mode=660,group=GROUP, or ,mode=666")
        case .nginxBreaksOff:
            self.init(.warning, "nginx breaks off its answers at TERM: add --stop-signal QUIT")
        case .endsSuspension: self.init(.step, "the new copies serve: the suspension ends")
        case .keepsEnvironment(let names):
            self.init(
                .step,
                """
                keeps the environment of its deploy; here differs: \(joined(names, by: " ")) (migrate --update-env \
                takes this one)
                """)
        case .lostEnvironment:
            self.init(.warning, "the environment of its deploy is not known any more, so the copies get this one")
        case .joined: self.init(.step, "the copies have taken their places")
        case .drained(let label): self.init(.detail, "generation \(label) is drained", timed: true)
        case .retiring(let label): self.init(.step, "generation \(label) is told to stop", timed: true)
        case .retired(let label, let outcome):
            let what: ByteString =
                switch outcome {
                case .gone: "has gone"
                case .finishing: "has closed its listeners and finishes"
                case .stillThere: "has not gone"
                }
            self.init(.step, "generation \(label) \(what)", timed: true)
        case .endingFailed(let label): self.init(.step, "generation \(label), which failed, is ended", timed: true)
        case .endingOld(let label): self.init(.step, "generation \(label) is ended", timed: true)
        case .failed(let label): self.init(.warning, "generation \(label) failed; nothing was switched")
        case .over: self.init(.detail, "the handoff is over")
        case .recovered(let label):
            self.init(.warning, "the registry had lost a generation; it is recovered as \(label)")
        case .foreignServer(let pid, let name, let socket):
            self.init(
                .warning,
                """
                pid \(pid) (\(name)) listens on socket \(socket) and belongs to no generation: it gets connections \
                until this one takes over, and none after that; stop it then
                """)
        case .outsider(let pid, let name, let socket):
            self.init(
                .warning,
                "pid \(pid) (\(name)) listens on socket \(socket) and belongs to no running generation: stop it")
        case .noEBPF(let failure): self.init(.detail, "\(failure.message); using cbpf instead")
        case .predecessor(let copy, let pid, let reason):
            self.init(.warning, "copy \(copy) was pid \(pid), which has ended: \(reason.description)")
        case .appLimitNotSet(let reason):
            self.init(
                .warning,
                "--app-memory-max is not in force: \(reason == .busy ? "the copies use more" : reason.description)")
        case .room(0): return nil
        case .room(let count): self.init(.step, "up to \(count) connections can wait")
        case .servicesWritten(let target): self.init(.step, "services are written for \(target)")
        case .problem(let failure): self.init(.warning, failure.message)
        case .minorProblem(let failure): self.init(.detail, failure.message)
        case .stop(let event): self.init(event.isWarning ? .warning : .detail, event.description)
        case .readiness(let event): self.init(.detail, event.description)
        case .scaled(let count): self.init(.step, "has \(copyCount(count))")
        case .awaited: self.init(.step, "is not registered yet")
        case .standsIn(let copy): self.init(.step, "copy \(copy) stands in while each of the others starts anew")
        case .restarted(let count): self.init(.step, "has started anew, with \(copyCount(count))")
        case .forgetsOptions(let words):
            self.init(.step, "not kept for the next migrate, since this failed: \(joined(words, by: ", "))")
        case .standsStill(let isWanted):
            let why: ByteString = isWanted ? "" : ": deploy did not start it, so its command is not known"
            self.init(.step, "stands still with its unfinished requests\(why)")
        case .isSuspended: self.init(.step, "is suspended already")
        case .suspendsAnew:
            self.init(.step, "starts the code that is there now; suspend --in-place has the running copies stand still")
        case .startsAtBoot(true): self.init(.step, "is enabled: the next boot deploys it again; disable ends that")
        case .startsAtBoot(false): self.init(.step, "does not start at boot any more")
        case .refuses: self.init(.step, "clients are refused until it serves again (migrate refuses none)")
        }
    }
}

extension HandoffEvent {
    /// The title that ps(1) shows for the coordinator from now on; nil: it does not change.
    var title: ByteString? {
        switch self {
        case .copy(_, let pid?, .starting): "waiting for readiness of pid \(pid)"
        case .copy(_, let pid?, .ready): "pid \(pid) is ready"
        case .awaitingSiblings: "ready, waiting for the other copies"
        case .draining(let label): "draining generation \(label)"
        case .stopping(let label): "stopping generation \(label)"
        case .keepingPaths: "puts back paths until the old copies have ended"
        case .tookOver, .retiring, .retired, .endingFailed, .endingOld: HandoffWords(self)?.text
        default: nil
        }
    }
}

extension HandoffResult {
    /// `generation 7 serves with 4 copies`
    var description: ByteString {
        let count = copyCount(copies)
        if joined {
            let what: ByteString = copies == 1 ? "a new copy serves" : "\(copies) new copies serve"
            return "\(what) in generation \(label)"
        }
        return isSuspended
            ? "generation \(label) has taken over with \(count), suspended until resume"
            : "generation \(label) serves with \(count)"
    }
}

/// `1 copy`, `4 copies`
private func copyCount(_ count: Int) -> ByteString { count == 1 ? "1 copy" : "\(count) copies" }

/// Shows a handoff as lines in a log or as a picture on a terminal, and in the title of its process.
final class HandoffView {
    private let app: ByteString
    private var lines: LogLines
    private var title: ProcessTitle?
    private var titleStart = ByteString()
    /// What a command draws, once its generation is known.
    private var progress: Progress?
    private let draws: Bool
    private let screen: Screen?
    private var hasTakenOver = false
    /// Is told of all events too, if there is one.
    var listener: DeployReport?

    /// For a helper, or for a command that starts no copies.
    init(app: ByteString, verbosity: Verbosity, descriptor: Int32 = 2, subject: ByteString? = nil) {
        self.app = app
        lines = LogLines(descriptor: descriptor, verbosity: verbosity, subject: subject ?? app)
        draws = false
        screen = nil
    }

    /// For a command that starts copies. With `isShared` the copies write to the same terminal, so nothing can be drawn.
    init(app: ByteString, verbosity: Verbosity, isShared: Bool) {
        self.app = app
        lines = LogLines(descriptor: 2, verbosity: verbosity, subject: app)
        draws = true
        screen = isShared ? Screen.noTerminal : nil
    }

    var reporter: Reporter { Reporter { self.show($0) } }

    private func show(_ event: HandoffEvent) {
        listener?.note(event)
        switch event {
        case .coordinating: title = ProcessTitle()
        case .registered(let label, let copies): begin(label, copies)
        case .copy(let number, let pid, let state): show(number, pid, state)
        case .output(let place, let text, let isShared): progress?.output(of: place, text, isShared)
        case .served(let result): progress?.write(.step, result.description)
        case .tookOver: hasTakenOver = true
        case .readiness(.elapsed(let seconds, let limit)): progress?.tick(seconds, of: limit)
        case .readiness(let event): progress?.seen = event.description
        default: break
        }
        if let title, let text = event.title { title.show("\(titleStart): \(text)") }
        if let words = HandoffWords(event) { show(words) }
    }

    private func begin(_ label: ByteString, _ copies: [Int]) {
        lines.subject = "\(app) \(label)"
        titleStart = "reuseport-exec: \(app) \(label)"
        guard draws else { return }
        progress = Progress(app: app, label: label, copies: copies, verbosity: lines.verbosity, screen: screen)
    }

    private func show(_ words: HandoffWords) {
        write(words.level, words.text)
        guard words.isTimed, lines.verbosity >= .everything else { return }
        write(.detail, "at \(MonotonicClock.microseconds) us: \(words.text)")
    }

    private func write(_ level: LogLevel, _ text: ByteString) {
        if progress == nil { lines.write(level, text) } else { progress?.write(level, text) }
    }

    private func show(_ number: Int, _ pid: Int32?, _ state: CopyProgress) {
        if progress != nil {
            progress?.note(copy: number, pid: pid, state)
            return
        }
        let who: ByteString = pid.map { "pid \($0)" } ?? "copy \(number)"
        switch state {
        case .starting: show(HandoffWords(.detail, "\(who) is copy \(number), waiting for readiness"))
        case .ready: show(HandoffWords(.step, "\(who) is ready", timed: true))
        case .serving where hasTakenOver: break
        case .serving: show(HandoffWords(.step, "\(who) took its place", timed: true))
        case .failed(let reason): show(HandoffWords(.warning, "\(who): \(reason.description)"))
        }
    }
}

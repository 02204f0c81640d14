/// Shows a handoff to whoever looks on: as lines in a log, or as a picture on a terminal; and in the title of its
/// process.
final class HandoffView {
    private let app: ByteString
    private var lines: LogLines
    private var title: ProcessTitle?
    private var titleStart = ByteString()
    /// The picture of a command, once its generation is known.
    private var progress: Progress?
    private let draws: Bool
    private let screen: Screen?
    private var hasTakenOver = false

    /// For a helper, or a command that starts no copies.
    init(app: ByteString, verbosity: Verbosity, descriptor: Int32 = 2, subject: ByteString? = nil) {
        self.app = app
        lines = LogLines(descriptor: descriptor, verbosity: verbosity, subject: subject ?? app)
        draws = false
        screen = nil
    }

    /// For a command that starts copies. `isShared`: the copies write to the same place, so nothing can be drawn there.
    init(app: ByteString, verbosity: Verbosity, isShared: Bool) {
        self.app = app
        lines = LogLines(descriptor: 2, verbosity: verbosity, subject: app)
        draws = true
        screen = isShared ? Screen.noTerminal : nil
    }

    var reporter: Reporter { Reporter { self.show($0) } }

    private func show(_ event: HandoffEvent) {
        switch event {
        case .coordinating: title = ProcessTitle()
        case .registered(let label, let copies): begin(label, copies)
        case .copy(let number, let pid, let state): show(number, pid, state)
        case .output(let place, let text): progress?.output(of: place, text)
        case .served(let result): progress?.finish(result.description, isGood: true)
        case .tookOver: hasTakenOver = true
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
        if progress == nil {
            lines.write(words.level, words.text)
        } else {
            switch words.level {
            case .step: progress?.step(words.text)
            case .detail: progress?.detail(words.text)
            case .warning: progress?.warning(words.text)
            }
        }
        guard words.isTimed, lines.verbosity >= .everything else { return }
        let text: ByteString = "at \(MonotonicClock.microseconds) us: \(words.text)"
        if progress == nil { lines.detail(text) } else { progress?.detail(text) }
    }

    private func show(_ number: Int, _ pid: Int32?, _ state: CopyProgress) {
        if progress != nil {
            let shown: Progress.CopyState =
                switch state {
                case .starting: .starting
                case .ready: .ready
                case .serving: .serving
                case .failed(let reason): .failed(reason.description)
                }
            progress?.note(copy: number, pid: pid, shown)
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

/// What a deploy shows of itself, shared by all who have something to say.
final class Display: @unchecked Sendable {
    private let log: Log

    init(app: ByteString, label: ByteString, copies: [Int], verbosity: Verbosity) {
        log = Log(descriptor: 2, verbosity: verbosity, subject: "\(app) \(label)")
    }

    enum CopyState {
        case starting, ready, serving
        case failed(ByteString)
    }

    func note(copy: Int, pid: Int32, _ state: CopyState) {
        switch state {
        case .starting: log.step("copy \(copy) is pid \(pid)")
        case .ready: log.step("copy \(copy) is ready")
        case .serving: log.detail("copy \(copy) serves")
        case .failed(let why): log.warning("copy \(copy): \(why)")
        }
    }

    func step(_ text: ByteString) { log.step(text) }
    func warning(_ text: ByteString) { log.warning(text) }
    func finish(_ text: ByteString, isGood: Bool) { if isGood { log.step(text) } else { log.warning(text) } }
    /// The last lines of what failed copies have written.
    func output(_ lines: [ByteString]) { for line in lines { log.warning("| \(line)") } }
}

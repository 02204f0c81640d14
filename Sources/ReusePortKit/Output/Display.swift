/// What a deploy shows of itself, shared by all who have something to say.
final class Display: @unchecked Sendable {
    private var progress: Progress

    init(app: ByteString, label: ByteString, copies: [Int], verbosity: Verbosity, isShared: Bool = false) {
        // Where others write as well, nobody knows which line is which.
        progress = Progress(
            app: app, label: label, copies: copies, verbosity: verbosity, screen: isShared ? Screen.noTerminal : nil)
    }

    func note(copy: Int, pid: Int32?, _ state: Progress.CopyState) { progress.note(copy: copy, pid: pid, state) }
    func step(_ text: ByteString) { progress.step(text) }
    func detail(_ text: ByteString) { progress.detail(text) }
    func warning(_ text: ByteString) { progress.warning(text) }
    func finish(_ text: ByteString, isGood: Bool) { progress.finish(text, isGood: isGood) }
    /// The end of what failed copies have written: to a file, or to a service's log.
    func output(of place: ByteString, _ text: ByteString) { progress.output(of: place, text) }
}

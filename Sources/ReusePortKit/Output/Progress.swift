import CLinux

/// Shows a running `deploy` on standard error: on a terminal as lines that are rewritten as things change, elsewhere as
/// one line for each step.
///
/// Nothing here fails, and nothing waits long for a reader: the handoff matters more than its picture.
struct Progress {
    private struct Copy {
        var number: Int
        var pid: Int32?
        var state: CopyProgress?
    }

    private let descriptor: Int32
    private let log: LogLines
    private var screen: Screen
    private var copies: [Copy]
    /// How long copies have been starting, and how long they may.
    private var seconds: UInt64 = 0
    private var limit: UInt64 = 0
    /// What was seen last of the first copy that is not ready.
    var seen = ByteString()
    /// The copies' lines as they stand on the screen; empty if nothing is drawn.
    private var drawn: [ByteString] = []
    /// How many lines have been written below the copies' lines.
    private var below = 0
    /// Whether the copies' lines can no longer be found on the screen.
    private var isLost = false
    /// Whether the terminal took nothing when it was last written to.
    private var isStuck = false

    init(
        app: ByteString, label: ByteString, copies numbers: [Int], verbosity: Verbosity, descriptor: Int32 = 2,
        screen given: Screen? = nil
    ) {
        self.descriptor = descriptor
        screen = given ?? Screen(of: descriptor)
        log = LogLines(descriptor: descriptor, verbosity: verbosity, subject: "\(app) \(label)")
        copies = numbers.map { Copy(number: $0) }
        guard isDrawing else { return }
        let what: ByteString = numbers.count == 1 ? "copy \(numbers[0])" : "\(numbers.count) copies"
        let heading: ByteString = "\(app) \(label): starting \(what)"
        write("\(screen.painted(screen.cut(heading.printable, to: usable), .heading))\n")
        draw()
    }

    /// Nothing is drawn if only warnings are wanted.
    private var isDrawing: Bool { screen.isRewritable && log.verbosity > .quiet }
}

// MARK: - What happens

extension Progress {
    /// Shows the new state of a copy. Its pid is shown from when it is known.
    mutating func note(copy number: Int, pid: Int32?, _ state: CopyProgress) {
        guard let index = copies.firstIndex(where: { $0.number == number }) else { return }
        let known = pid ?? copies[index].pid
        if copies[index].state == state && copies[index].pid == known { return }
        (copies[index].pid, copies[index].state) = (known, state)
        if isDrawing { return redraw() }
        switch state {
        case .starting: log.step("copy \(number) is starting\(known.map { ", as pid \($0)" } ?? "")")
        case .ready: log.step("copy \(number) is ready")
        case .serving: log.detail("copy \(number) serves")
        // The last line of the command tells why.
        case .failed: log.detail("copy \(number) failed")
        }
    }

    /// Shows how long copies have been starting: every second where that can be redrawn, else every ten.
    mutating func tick(_ elapsed: UInt64, of allowed: UInt64) {
        if elapsed == seconds { return }
        (seconds, limit) = (elapsed, allowed)
        if isDrawing { return redraw() }
        if elapsed == 0 || elapsed % 10 != 0 { return }
        let waiting = copies.filter { $0.state == .starting }.map { ByteString(decimal: $0.number) }
        if waiting.isEmpty { return }
        let reason: ByteString = seen.isEmpty ? "" : ": \(seen)"
        let numbers = joined(waiting, by: ", ")
        log.step("not ready after \(elapsed) s of \(limit) (--ready-timeout): copy \(numbers)\(reason)")
    }

    /// Shows a step of the handoff, such as `took over from generation 6`, a detail, or a warning.
    mutating func write(_ level: LogLevel, _ text: ByteString) {
        guard isDrawing else { return log.write(level, text) }
        switch level {
        case .step: say(screen.isUTF8 ? "✓" : "ok", .good, text)
        case .detail: if log.verbosity >= .everything { say(screen.isUTF8 ? "·" : "-", .past, text) }
        case .warning: say("!", .waiting, text)
        }
    }

    /// Shows what a failed copy wrote to a file or to its log.
    mutating func output(of place: ByteString, _ text: ByteString, _ isShared: Bool) {
        let lines = excerpt(of: text)
        if lines.isEmpty { return }
        write(.warning, "the output in \(place)\(isShared ? ", with that of the live generation" : ""):")
        for line in lines {
            if isDrawing { say("  ", .plain, line) } else { log.warning("| \(line)") }
        }
    }
}

// MARK: - Lines

extension Progress {
    /// The columns without the last: some terminals wrap at once when that is written to.
    private var usable: Int { max((screen.width ?? 80) - 1, 1) }

    /// One line for each of up to 8 copies, or a bar for all of more.
    private func copyLines() -> [ByteString] {
        if copies.count > 8 { return [bar()] }
        // The columns are as wide as they will ever be, so that nothing moves when a pid comes or grows.
        let digits = copies.reduce(0) { max($0, ByteString(decimal: $1.number).count) }
        let first = copies.first { $0.state == .starting }?.number
        return copies.map { copy in
            let number = padded(ByteString(decimal: copy.number), digits)
            let pid = padded(copy.pid.map { "pid \($0)" } ?? "", 11)
            let head: ByteString = "  copy \(number)  \(pid)  "
            var (word, ink) = shown(copy.state)
            if copy.number == first, seconds > 0 { word.append(" of \(limit)\(seen.isEmpty ? "" : ": \(seen)")") }
            let rest = screen.cut(word, to: max(usable - head.count, 0))
            return "\(screen.head(of: head, within: usable))\(screen.painted(rest, ink))"
        }
    }

    private func padded(_ text: ByteString, _ width: Int) -> ByteString {
        var text = text
        while text.count < width { text.append(UInt8(ascii: " ")) }
        return text
    }

    private func shown(_ state: CopyProgress?) -> (ByteString, Ink) {
        switch state {
        case nil: ("-", .past)
        case .starting?: (seconds == 0 ? "starting" : "starting, \(seconds) s", .waiting)
        case .ready?: ("ready", .plain)
        case .serving?: ("serves", .good)
        case .failed?: ("failed", .bad)
        }
    }

    private func bar() -> ByteString {
        var counts: [(word: ByteString, ink: Ink, count: Int)] = [
            ("serve", .good, 0), ("ready", .plain, 0), ("starting", .waiting, 0), ("failed", .bad, 0),
        ]
        for copy in copies {
            switch copy.state {
            case nil: break
            case .serving?: counts[0].count += 1
            case .ready?: counts[1].count += 1
            case .starting?: counts[2].count += 1
            case .failed?: counts[3].count += 1
            }
        }
        let width = 20
        let ready = counts[0].count + counts[1].count
        let done = ready * width / copies.count
        var bar = ByteString()
        for index in 0..<width {
            bar.append(index < done ? (screen.isUTF8 ? "█" : "#") : (screen.isUTF8 ? "░" : "."))
        }
        var room = max(usable - 2, 0)
        var line: ByteString = "  "
        func add(_ text: ByteString, _ ink: Ink) {
            let text = screen.cut(text, to: room)
            room -= screen.columns(text)
            line.append(screen.painted(text, ink))
        }
        add(bar, .plain)
        add("  \(ready) of \(copies.count)", .heading)
        for one in counts where one.count > 0 { add("  \(one.count) \(one.word)", one.ink) }
        return line
    }
}

// MARK: - Writing

extension Progress {
    /// Writes the copies' lines, below everything written so far.
    private mutating func draw() {
        (drawn, below, isLost) = (copyLines(), 0, false)
        write("\(joined(drawn, by: "\n"))\n")
    }

    /// Rewrites the copies' lines that have changed.
    private mutating func redraw() {
        lookAtSize()
        if isLost { return draw() }
        let lines = copyLines()
        var text = ByteString()
        for (index, line) in lines.enumerated() where line != drawn[index] {
            let up = lines.count - index + below
            // A line that has scrolled off the top cannot be reached.
            if let rows = screen.size?.rows, up >= rows { continue }
            text.append("\u{1B}[\(up)A\r\(line)\u{1B}[K\u{1B}[\(up)B\r")
            drawn[index] = line
        }
        write(text)
    }

    /// Reads the size of the window. One that got narrower has wrapped or cut its lines, so those are drawn again.
    private mutating func lookAtSize() {
        guard let before = screen.size, let now = Screen.size(of: descriptor) else { return }
        if now.columns < before.columns { isLost = true }
        screen.size = now
    }

    /// Writes a text below everything written so far, wrapped between words.
    private mutating func say(_ mark: ByteString, _ ink: Ink, _ text: ByteString) {
        lookAtSize()
        var sheet = Sheet()
        sheet.add([Cell("\(mark) \(text)")])
        var narrower = screen
        narrower.size?.columns = usable
        var lines = Array(sheet.text(on: narrower).split(on: UInt8(ascii: "\n")).dropLast())
        lines[0] = "\(screen.painted(mark, ink))\(lines[0].dropFirst(mark.count))"
        add(lines)
    }

    private mutating func add(_ lines: [ByteString]) {
        below += lines.count
        for line in lines { write("\(line)\n") }
    }

    /// Writes as much as the terminal takes. It waits for it once, for a second at most: a terminal that was stopped by
    /// ^S must not stop the handoff.
    @inline(never)
    private mutating func write(_ text: ByteString) {
        var written = 0
        var pauses = 0
        while written < text.count {
            var wanted = pollfd(fd: descriptor, events: Int16(POLLOUT), revents: 0)
            let answer = poll(&wanted, 1, isStuck ? 0 : 1000)
            if answer == -1 && Errno.current == .interrupted { continue }
            isStuck = answer == 0
            if isStuck { break }
            let count = text.bytes.withUnsafeBytes {
                CLinux.write(descriptor, $0.baseAddress! + written, $0.count - written)
            }
            if count > 0 { written += count }
            if count == -1 && Errno.current != .interrupted {
                pauses += 1
                // A terminal that polls as writable may still refuse: no event tells when it will not.
                if Errno.current != .again || pauses > 10 { break }
                poll(nil, 0, 10)
            }
        }
        if written < text.count { isLost = true }
    }
}

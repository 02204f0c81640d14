import CLinux

/// What `deploy` shows while it goes on, on standard error: lines that are written anew on a terminal as things change,
/// one line for each step otherwise.
///
/// Nothing here fails, and nothing waits for a reader for long: the handoff is worth more than its picture.
struct Progress {
    enum CopyState: Sendable, Equatable {
        case starting, ready, serving, stopping, stopped
        case failed(ByteString)
    }

    private struct Copy {
        var number: Int
        var pid: Int32?
        var state: CopyState?
    }

    private let descriptor: Int32
    private let log: LogLines
    private var screen: Screen
    private var copies: [Copy]
    /// The copies' lines as they stand on the screen; empty if nothing is drawn.
    private var drawn: [ByteString] = []
    /// How many lines have been written below those.
    private var below = 0
    /// It is not known any more where on the screen those are.
    private var isLost = false
    /// Nobody takes what is written, for the time being.
    private var isStuck = false

    /// For the copies with these numbers.
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

    /// A picture of warnings only is none.
    private var isDrawing: Bool { screen.isRewritable && log.verbosity > .quiet }
}

// MARK: - What happens

extension Progress {
    /// A copy is another one by now, or something else; its process is shown from when it is known.
    mutating func note(copy number: Int, pid: Int32?, _ state: CopyState) {
        guard let index = copies.firstIndex(where: { $0.number == number }) else { return }
        let known = pid ?? copies[index].pid
        if copies[index].state == state && copies[index].pid == known { return }
        (copies[index].pid, copies[index].state) = (known, state)
        if isDrawing { return redraw() }
        switch state {
        case .starting: log.step("copy \(number) is starting\(known.map { ", as pid \($0)" } ?? "")")
        case .ready: log.step("copy \(number) is ready")
        case .serving: log.detail("copy \(number) serves")
        case .stopping: log.step("copy \(number) is told to stop")
        case .stopped: log.step("copy \(number) has stopped")
        case .failed(let reason): log.warning("copy \(number): \(reason)")
        }
    }

    /// A step of the handoff: `took over from generation 6`.
    mutating func step(_ text: ByteString) {
        if isDrawing { say(screen.isUTF8 ? "✓" : "ok", .good, text) } else { log.step(text) }
    }

    /// Of use only for somebody who looks for a fault: `--debug`.
    mutating func detail(_ text: ByteString) {
        if log.verbosity < .everything { return }
        if isDrawing { say(screen.isUTF8 ? "·" : "-", .past, text) } else { log.detail(text) }
    }

    mutating func warning(_ text: ByteString) {
        if isDrawing { say("!", .waiting, text) } else { log.warning(text) }
    }

    /// The last lines of what failed copies have written to a file, or wherever.
    mutating func output(of place: ByteString, _ text: ByteString) {
        let lines = lastLines(10, of: text)
        if lines.isEmpty { return }
        warning("the last lines of \(place):")
        if isDrawing {
            add(lines.map { "   \(screen.cut($0, to: max(usable - 3, 0)))" })
        } else {
            for line in lines { log.warning("| \(line)") }
        }
    }

    /// The last line: `serves with 4 copies`.
    mutating func finish(_ outcome: ByteString, isGood: Bool) {
        guard isDrawing else { return isGood ? log.step(outcome) : log.warning(outcome) }
        let mark: ByteString = screen.isUTF8 ? (isGood ? "✓" : "✗") : (isGood ? "ok" : "failed")
        say(mark, isGood ? .good : .bad, outcome)
    }
}

// MARK: - Lines

extension Progress {
    /// Without the last column: some terminals go to the next line at once when it is written to.
    private var usable: Int { max((screen.width ?? 80) - 1, 1) }

    /// A line for each of up to 8 copies, or one for all.
    private func copyLines() -> [ByteString] {
        if copies.count > 8 { return [bar()] }
        // As wide as they will ever be: nothing moves when a pid comes or grows.
        let digits = copies.reduce(0) { max($0, ByteString(decimal: $1.number).count) }
        return copies.map { copy in
            let number = padded(ByteString(decimal: copy.number), digits)
            let pid = padded(copy.pid.map { "pid \($0)" } ?? "", 11)
            let head: ByteString = "  copy \(number)  \(pid)  "
            let (word, ink) = shown(copy.state)
            let rest = screen.cut(word, to: max(usable - head.count, 0))
            return "\(screen.head(of: head, within: usable))\(screen.painted(rest, ink))"
        }
    }

    private func padded(_ text: ByteString, _ width: Int) -> ByteString {
        var text = text
        while text.count < width { text.append(UInt8(ascii: " ")) }
        return text
    }

    private func shown(_ state: CopyState?) -> (ByteString, Ink) {
        switch state {
        case nil: ("-", .past)
        case .starting?: ("starting", .waiting)
        case .ready?: ("ready", .plain)
        case .serving?: ("serves", .good)
        case .stopping?: ("stopping", .waiting)
        case .stopped?: ("stopped", .past)
        case .failed(let reason)?: ("failed: \(reason.printable)", .bad)
        }
    }

    private func bar() -> ByteString {
        var counts: [(word: ByteString, ink: Ink, count: Int)] = [
            ("serve", .good, 0), ("ready", .plain, 0), ("starting", .waiting, 0), ("stopping", .waiting, 0),
            ("stopped", .past, 0), ("failed", .bad, 0),
        ]
        for copy in copies {
            switch copy.state {
            case nil: break
            case .serving?: counts[0].count += 1
            case .ready?: counts[1].count += 1
            case .starting?: counts[2].count += 1
            case .stopping?: counts[3].count += 1
            case .stopped?: counts[4].count += 1
            case .failed?: counts[5].count += 1
            }
        }
        let width = 20
        let done = (counts[0].count + counts[1].count) * width / copies.count
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
        let ready = counts[0].count + counts[1].count
        add("  \(ready) of \(copies.count)", .heading)
        for one in counts where one.count > 0 { add("  \(one.count) \(one.word)", one.ink) }
        return line
    }
}

// MARK: - Writing

extension Progress {
    /// Writes the copies' lines below all others.
    private mutating func draw() {
        (drawn, below, isLost) = (copyLines(), 0, false)
        write("\(joined(drawn, by: "\n"))\n")
    }

    /// Writes those of the copies' lines anew that have changed.
    private mutating func redraw() {
        lookAtSize()
        if isLost { return draw() }
        let lines = copyLines()
        var text = ByteString()
        for (index, line) in lines.enumerated() where line != drawn[index] {
            let up = lines.count - index + below
            // It has left the screen at the top, and cannot be reached.
            if let rows = screen.size?.rows, up >= rows { continue }
            text.append("\u{1B}[\(up)A\r\(line)\u{1B}[K\u{1B}[\(up)B\r")
            drawn[index] = line
        }
        write(text)
    }

    /// A window that got narrower has broken its lines, or has cut them off.
    private mutating func lookAtSize() {
        guard let before = screen.size, let now = Screen.size(of: descriptor) else { return }
        if now.columns < before.columns { isLost = true }
        screen.size = now
    }

    /// Writes a text below all others, broken between words where it does not fit.
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

    /// write(2) as far as it goes. What nobody takes is not waited for longer than a second, once: a terminal that was
    /// stopped by ^S must not stop the handoff.
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
                if Errno.current != .again || pauses > 10 { break }
                poll(nil, 0, 10)
            }
        }
        if written < text.count { isLost = true }
    }
}

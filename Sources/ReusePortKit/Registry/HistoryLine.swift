import CLinux

/// The line that a command leaves in the history of the app that it changes: who, what, and with what result.
///
/// It is written before the command and again after it, so that one that was killed has a line without a result. The
/// command does not fail if that fails, as for a user who may only look.
final class HistoryLine {
    private var entry = HistoryEntry(fields: [])
    private let start = MonotonicClock.milliseconds
    /// Asked before a deploy makes its environment that of the last one.
    private let caller = environmentVariable("SUDO_USER")
    private var app: ByteString?
    private var directory: ByteString = ""

    init() {}

    /// Writes the line, if the app is known already.
    func begin(_ app: ByteString, in directory: ByteString) {
        (self.app, self.directory) = (app, directory)
        let own = (try? account(id: getuid()))?.name ?? ByteString(decimal: getuid())
        let process = try? ProcessIdentity(of: getpid())
        entry.fields = [
            ByteString(decimal: secondsSince1970()), caller ?? own, ByteString(decimal: getpid()),
            ByteString(decimal: process?.startTime ?? 0), "", "", "",
        ]
        // As they were typed, without the values of variables.
        let words = (try? ProcFileSystem().read("self/cmdline")) ?? ""
        var length = 0
        var isVariable = false
        for (index, word) in words.split(on: 0).enumerated() where index > 0 && length < 1000 && !word.isEmpty {
            entry.fields.append(withoutValue(word, isVariable).prefix(1000))
            length += word.count
            isVariable = word == "--env"
        }
        write()
    }

    /// Writes the result of a command that has begun.
    func end(_ failure: Failure?) {
        if app == nil { return }
        entry.end(
            after: MonotonicClock.milliseconds - start, code: failure?.code.rawValue ?? 0, failure?.reason ?? "")
        write()
    }

    @inline(never)
    private func write() {
        _ = try? Registry.open(app ?? "", in: directory, create: false)?.addHistory(entry)
    }
}

/// A line of the history, by the names of its fields.
struct HistoryEntry {
    /// Start in seconds since 1970, who, pid, start time of the process, milliseconds, exit code (both are empty as
    /// long as it runs), reason, and the words.
    fileprivate(set) var fields: [ByteString]

    /// Seconds since 1970.
    var time: UInt64? { fields[0].decimal }
    var who: ByteString { fields[1] }
    var pid: UInt64? { fields[2].decimal }
    /// Nil as long as it runs, and if it was killed.
    var milliseconds: UInt64? { fields[4].decimal }
    /// Nil as long as it runs, and if it was killed.
    var code: UInt64? { fields[5].decimal }
    var reason: ByteString { fields[6] }
    var words: [ByteString] { Array(fields[7...]) }

    var process: ProcessIdentity {
        ProcessIdentity(pid: Int32(truncatingIfNeeded: pid ?? 0), startTime: fields[3].decimal ?? 0)
    }

    fileprivate mutating func end(after milliseconds: UInt64, code: Int32, _ reason: ByteString) {
        fields[4...6] = [ByteString(decimal: milliseconds), ByteString(decimal: code), reason.prefix(200)]
    }
}

extension Registry {
    /// The lines of the history, oldest first. Fails if the caller may not read it.
    func loadHistory() throws(Failure) -> [HistoryEntry] {
        if (try? status(of: "history", in: folder)) == nil { return [] }
        let name: ByteString = "\(path)/history"
        let file = try openTrusted("history", in: folder, object: name)
        let text = try step("read", name) { () throws(Errno) in try readAll(file, atMost: 1 << 20) }
        return (RegistryText(text)?.all("command") ?? []).filter { $0.count > 7 }.map { HistoryEntry(fields: $0) }
    }

    /// Adds a line to the history in the place of this process's own, and drops the oldest. Only this user can read it:
    /// command lines may hold secrets.
    fileprivate func addHistory(_ line: HistoryEntry) throws(Failure) {
        let lock = try lock(until: Deadline(after: .seconds(1)))
        var lines = (try loadHistory()).filter { $0.process != line.process }
        lines.append(line)
        var size = 0
        var first = lines.count
        while first > 0, lines.count - first < 200, size < 1 << 16 {
            first -= 1
            // A byte may become three.
            size += lines[first].fields.reduce(0) { $0 + 3 * $1.count + 1 }
        }
        var file = RegistryText()
        for line in lines[first...] { file.add("command", list: line.fields) }
        try replace("history", file.text, mode: 0o600)
        lock.release(closing: ())
    }
}

/// `TOKEN=...` for `TOKEN=secret`: a variable for certain behind `--env`, or a word that looks like one.
private func withoutValue(_ word: ByteString, _ isVariable: Bool) -> ByteString {
    let start = word.hasPrefix("--env=") ? 6 : 0
    guard let end = word.firstIndex(of: UInt8(ascii: "="), from: start) else { return word }
    var isName = true
    for byte in word.bytes[start..<end] where byte != UInt8(ascii: "_") {
        let letter = byte | 0x20
        if !(letter >= UInt8(ascii: "a") && letter <= UInt8(ascii: "z") || byte >= 0x30 && byte < 0x3A) {
            isName = false
        }
    }
    return isVariable || start > 0 || isName ? "\(word.prefix(end))=..." : word
}

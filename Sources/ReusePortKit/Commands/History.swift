/// `history`: prints a line for each command that has changed the app, and why it failed.
func history(_ request: VerbRequest, _ directory: ByteString) throws(Failure) {
    let lines = try openApp(request, directory).loadHistory()
    if request.isJSON { return try write("\(array(of: lines.map { $0.asJSON }))\n") }
    var sheet = Sheet()
    for line in lines {
        let end: ByteString = line.process.isAlive() ? "runs" : "killed"
        let result = line.code.map { $0 == 0 ? "ok" : "exit \($0)" as ByteString } ?? end
        sheet.add(
            [
                Cell(timestamp(line.time ?? 0)), Cell(line.who), Cell(result, line.code == 0 ? .good : .bad),
                Cell(line.milliseconds.map { "\($0)ms" } ?? ""),
            ],
            tail: quotedForShell(line.words), group: 0)
        if !line.reason.isEmpty { sheet.add([Cell(line.reason, .bad)], indent: 4) }
    }
    try write(sheet.text(on: Screen(of: 1)))
}

extension HistoryEntry {
    fileprivate var asJSON: ByteString {
        var object = JSONObject()
        object.add("time", time)
        object.add("who", who)
        object.add("pid", pid)
        object.add("milliseconds", milliseconds)
        object.add("exit", code)
        object.add("reason", reason)
        object.add("command", value: array(words))
        object.add("running", code == nil && process.isAlive())
        return object.text
    }
}

import CLinux

/// `list`, `count` and `state`: tables for people, or JSON.
func report(_ request: VerbRequest, _ directory: ByteString) throws(Failure) {
    let apps = try knownApps(request, directory)
    switch request.verb {
    case .count:
        let count = apps.reduce(0) { $0 + serving($1.state) }
        try write(request.isJSON ? "{\"count\":\(count)}\n" : "\(count)\n")
    case .list:
        try write(request.isJSON ? listAsJSON(apps) : list(apps))
    default:
        let pictures = apps.map { AppPicture($0.name, $0.state) }
        try write(
            request.isJSON
                ? "[\(joined(pictures.map { $0.json }, by: ","))]\n" : joined(pictures.map { $0.text }, by: "\n"))
    }
}

/// How many copies get connections.
private func serving(_ state: AppState) -> Int {
    guard let live = state.app.live else { return 0 }
    return state.running(live.order).count { $0.state == .live }
}

private func list(_ apps: [(name: ByteString, state: AppState)]) -> ByteString {
    var table = Table(["APP", "GENERATION", "STATE", "COPIES", "SINCE", "REASON"])
    for (name, state) in apps {
        for generation in state.app.generations {
            table.add([
                name, generation.label, generation.state.name,
                "\(state.running(generation.order).count)/\(generation.copies)", ago(generation.since),
                generation.reason,
            ])
        }
    }
    return table.text
}

private func listAsJSON(_ apps: [(name: ByteString, state: AppState)]) -> ByteString {
    let items = apps.map { (name, state) -> ByteString in
        let generations = state.app.generations.map { generation in
            object([
                ("generation", json(generation.label)), ("state", json(generation.state.name)),
                ("copies", ByteString(decimal: generation.copies)),
                ("running", ByteString(decimal: state.running(generation.order).count)),
                ("since", ByteString(decimal: generation.since)), ("reason", json(generation.reason)),
            ])
        }
        return object([("app", json(name)), ("generations", "[\(joined(generations, by: ","))]")])
    }
    return "[\(joined(items, by: ","))]\n"
}

/// Members of a JSON object, whose values are JSON already.
func object(_ members: [(ByteString, ByteString)]) -> ByteString {
    "{\(joined(members.map { "\(json($0.0)):\($0.1)" }, by: ","))}"
}

/// How long ago a moment was: `5s`, `3m`, `2h`, `4d`.
func ago(_ since: UInt64) -> ByteString {
    let now = secondsSince1970()
    let seconds = now > since ? now - since : 0
    switch seconds {
    case ..<120: return "\(seconds)s"
    case ..<7200: return "\(seconds / 60)m"
    case ..<172_800: return "\(seconds / 3600)h"
    default: return "\(seconds / 86400)d"
    }
}

/// Columns as wide as what stands in them.
struct Table {
    private var rows: [[ByteString]]

    init(_ head: [ByteString]) { rows = [head] }

    mutating func add(_ row: [ByteString]) { rows.append(row.map { $0.isEmpty ? "-" : $0.printable }) }

    var text: ByteString {
        var result = ByteString()
        for row in rows {
            var line = ByteString()
            for (index, cell) in row.enumerated() {
                line.append(cell)
                guard index < row.count - 1 else { continue }
                let width = rows.reduce(0) { max($0, $1[index].count) } + 2
                for _ in cell.count..<width { line.append(UInt8(ascii: " ")) }
            }
            result.append("\(line)\n")
        }
        return result
    }
}

/// A way in which servers learn of the descriptors that they inherit.
enum Dialect: UInt8, CaseIterable, Sendable {
    case systemd, niagra, niagra2, lactoserv, nodesockd, cluster, nginx, serverStarter, einhorn, unicorn, phpFPM, inetd
    case adopt

    /// As `--pass` takes it.
    var name: ByteString {
        switch self {
        case .systemd: "systemd"
        case .niagra: "niagra"
        case .niagra2: "niagra2"
        case .lactoserv: "lactoserv"
        case .nodesockd: "nodesockd"
        case .cluster: "cluster"
        case .nginx: "nginx"
        case .serverStarter: "server-starter"
        case .einhorn: "einhorn"
        case .unicorn: "unicorn"
        case .phpFPM: "php-fpm"
        case .inetd: "inetd"
        case .adopt: "adopt"
        }
    }
}

/// Reads the value of `--pass`.
func parseDialects(_ value: ByteString) throws(Malformed) -> [Dialect] {
    var dialects: [Dialect] = []
    var offset = 0
    for word in value.split(on: UInt8(ascii: ",")) {
        guard let dialect = Dialect.allCases.first(where: { $0.name == word }) else {
            throw .unknown("dialect", word, known: Dialect.allCases.map { $0.name }, at: offset)
        }
        if dialects.contains(dialect) { throw Malformed("dialect '\(word)' is named twice", at: offset) }
        dialects.append(dialect)
        offset += word.count + 1
    }
    return dialects
}

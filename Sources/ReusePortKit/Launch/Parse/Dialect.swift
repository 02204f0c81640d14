/// A way to tell servers which descriptors they inherit.
enum Dialect: UInt8, CaseIterable, Sendable {
    case systemd, niagra, niagra2, lactoserv, nodesockd, nodesockd2, cluster, nginx, serverStarter, einhorn, unicorn
    case phpFPM, inetd, adopt

    /// The value of `--pass`.
    var name: ByteString {
        switch self {
        case .systemd: "systemd"
        case .niagra: "niagra"
        case .niagra2: "niagra2"
        case .lactoserv: "lactoserv"
        case .nodesockd: "nodesockd"
        case .nodesockd2: "nodesockd2"
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

extension [Dialect] {
    /// That of a version of nodesockd, if there is one. They differ in the path's variable, and in their messages.
    var nodesockd: Dialect? { first { $0 == .nodesockd || $0 == .nodesockd2 } }
}

extension Dialect {
    /// The variables or arguments that the server gets, for help texts.
    var summary: ByteString {
        switch self {
        case .systemd: "LISTEN_FDS LISTEN_PID LISTEN_FDNAMES, from 3 on"
        case .niagra: "arguments --fd NAME,FD and --file NAME,FD"
        case .niagra2: "arguments --fd NAME,insecure,FD and --file NAME,FD"
        case .lactoserv: "LACTOSERV_FDS={\"http\":\"/dev/fd/3\",...}"
        case .nodesockd: "LISTEN_ON NODESOCKD_WORKER_ID NODESOCKD_SUSPENDED, a channel"
        case .nodesockd2: "the same for its version 2: NODESOCKD_SOCKET_PATH"
        case .cluster: "a Node channel, through which a worker gets its listeners"
        case .nginx: "NGINX=3;4;"
        case .serverStarter: "SERVER_STARTER_PORT=0.0.0.0:80=3;/run/x.sock=4"
        case .einhorn: "EINHORN_FD_COUNT EINHORN_FD_0 EINHORN_CHILD_INDEX ..."
        case .unicorn: "UNICORN_FD=3,4"
        case .phpFPM: "FPM_SOCKETS=127.0.0.1:9000=3,..."
        case .inetd: "the one socket at descriptor 0"
        case .adopt: "a library hands it over when the program binds by itself"
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

import CLinux

/// Says what to do when no more descriptors, or none of this protocol, can be opened.
func descriptorRemedy(_ errno: Errno) -> ByteString? {
    switch errno {
    case .processLimit:
        var limit = rlimit()
        guard getrlimit(__rlimit_resource_t(RLIMIT_NOFILE.rawValue), &limit) == 0 else { return "raise ulimit -n" }
        return "this process may open \(limit.rlim_cur); raise ulimit -n"
    case .systemLimit: return "the whole system has none left; raise fs.file-max"
    case .familyNotSupported: return "this host has no such protocol; without IPv6 write 0.0.0.0:PORT"
    default: return nil
    }
}

import CLinux

/// What to do when there are no descriptors left.
func descriptorRemedy(_ errno: Errno) -> ByteString? {
    switch errno {
    case .processLimit:
        var limit = rlimit()
        guard getrlimit(__rlimit_resource_t(RLIMIT_NOFILE.rawValue), &limit) == 0 else { return "raise ulimit -n" }
        return "this process may have \(limit.rlim_cur); raise ulimit -n"
    case .systemLimit: return "the whole system is out of them; see fs.file-max"
    case .familyNotSupported: return "this kernel has no such protocol"
    default: return nil
    }
}

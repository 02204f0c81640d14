import CLinux

/// chroot(2), and chdir(2) to the new root, because a working directory outside would be a way out.
func changeRoot(_ path: ByteString) throws(Failure) {
    try step(
        "change the root to", path,
        remedy: {
            $0 != .notPermitted
                ? nil
                : geteuid() == 0 ? "this root lacks CAP_SYS_CHROOT" : "only root can; run as root or leave --chroot out"
        }
    ) { () throws(Errno) in
        try path.withCString { path throws(Errno) in try checked(chroot(path)) }
        try checked(clinux_leave_working_directory())
    }
}

/// chdir(2).
func changeDirectory(_ path: ByteString) throws(Failure) {
    try step(
        "change the directory to", path,
        remedy: { $0 == .accessDenied ? "uid \(geteuid()) must be allowed to enter it and those above it" : nil }
    ) { () throws(Errno) in
        try path.withCString { path throws(Errno) in try checked(chdir(path)) }
    }
}

/// prctl(2) with PR_SET_NO_NEW_PRIVS.
func forbidNewPrivileges() throws(Failure) {
    try step("set", "no_new_privs") { () throws(Errno) in
        try checked(clinux_prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0))
    }
}

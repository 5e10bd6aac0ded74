// The nats-server that coffer carries: loopback only, JetStream on file, run by coffer as its child.
//
// It does not outlive its parent: it ends when its standard input reaches EOF. It never shares a
// store: it first takes an exclusive lock on the store's folder. Once ready it prints one line on
// standard output, {"port":N}; warnings and errors go to standard error.
package main

import (
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"net"
	"os"
	"os/signal"
	"path/filepath"
	"syscall"
	"time"

	"github.com/nats-io/nats-server/v2/server"
)

const (
	exitFailed = 1
	exitUsage  = 2
	exitHeld   = 3 // another process holds the store

	shutdownTimeout = 20 * time.Second
	// Left to itself, JetStream allows what is free on the disk at its start, and may then refuse a
	// stream that is already there. Coffer watches the free space.
	maxStoreBytes  = 1 << 50
	maxMemoryBytes = 64 << 20
)

func main() {
	// Run from memory, the kernel would call the process by the number of a descriptor.
	os.WriteFile("/proc/self/comm", []byte("coffer-nats"), 0) // only a name: without it all works

	store := flag.String("store", "", "folder of the JetStream store")
	port := flag.Int("port", 0, "port on 127.0.0.1, 0 for a free one")
	maxPayload := flag.Int("max-payload", server.MAX_PAYLOAD_SIZE, "largest message, in bytes")
	startTimeout := flag.Duration("start-timeout", 0, "how long a start may take, such as 60s")
	flag.Parse()
	token := os.Getenv("COFFER_NATS_TOKEN") // not a flag: every user of a machine can read argv
	if *store == "" || token == "" || flag.NArg() > 0 ||
		*port < 0 || *port > 65535 || *maxPayload < 1 || *maxPayload > server.MAX_PENDING_SIZE || *startTimeout <= 0 {
		fail(exitUsage, "usage: COFFER_NATS_TOKEN=… coffer-nats -store DIR -start-timeout DURATION [-port N] [-max-payload BYTES]")
	}

	// Ctrl-C, a closed terminal and a service manager reach the whole process group, but the parent still
	// needs its queue to finish; and a parent that is gone must not turn the last log line into a SIGPIPE.
	signal.Ignore(syscall.SIGINT, syscall.SIGTERM, syscall.SIGHUP, syscall.SIGPIPE)

	lock := lockStore(*store)
	defer lock.Close() // keeps the file, and with it the lock, from being collected

	if *port == 0 {
		*port = server.RANDOM_PORT
	}
	nats, err := server.NewServer(&server.Options{
		ServerName:         "coffer",
		Host:               "127.0.0.1",
		Port:               *port,
		Authorization:      token,
		MaxPayload:         int32(*maxPayload),
		JetStream:          true,
		StoreDir:           *store,
		JetStreamMaxStore:  maxStoreBytes,
		JetStreamMaxMemory: maxMemoryBytes,
		NoSigs:             true,
	})
	if err != nil {
		fail(exitFailed, err)
	}
	nats.SetLoggerV2(stderrLogger{}, false, false, false)
	nats.Start()
	if !nats.ReadyForConnections(*startTimeout) {
		fail(exitFailed, "not ready after ", *startTimeout)
	}
	json.NewEncoder(os.Stdout).Encode(map[string]int{"port": nats.Addr().(*net.TCPAddr).Port})

	io.Copy(io.Discard, os.Stdin)
	time.AfterFunc(shutdownTimeout, func() { fail(exitFailed, "no shutdown after ", shutdownTimeout) })
	nats.Shutdown()
	nats.WaitForShutdown()
}

func lockStore(store string) *os.File {
	if err := os.MkdirAll(store, 0o700); err != nil {
		fail(exitFailed, err)
	}
	file, err := os.OpenFile(filepath.Join(store, "coffer-nats.lock"), os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		fail(exitFailed, err)
	}
	err = syscall.Flock(int(file.Fd()), syscall.LOCK_EX|syscall.LOCK_NB)
	if errors.Is(err, syscall.EWOULDBLOCK) {
		fail(exitHeld, store, " is held by another process")
	}
	if err != nil {
		fail(exitFailed, "lock ", file.Name(), ": ", err)
	}
	return file
}

func fail(code int, message ...any) {
	fmt.Fprintln(os.Stderr, "coffer-nats:", fmt.Sprint(message...))
	os.Exit(code)
}

// stderrLogger passes on warnings and errors only, as plain lines.
type stderrLogger struct{}

func (stderrLogger) Noticef(string, ...any)            {}
func (stderrLogger) Debugf(string, ...any)             {}
func (stderrLogger) Tracef(string, ...any)             {}
func (stderrLogger) Warnf(format string, args ...any)  { logLine("warning: "+format, args) }
func (stderrLogger) Errorf(format string, args ...any) { logLine("error: "+format, args) }
func (stderrLogger) Fatalf(format string, args ...any) {
	fail(exitFailed, fmt.Sprintf(format, args...))
}

func logLine(format string, args []any) {
	fmt.Fprintf(os.Stderr, "nats-server: "+format+"\n", args...)
}

// Command blox-torture runs the whole of Blox as processes of its own, does to them all that its seed says, and tells which
// promises did not hold. "make torture" builds and runs it; the README beside this file says what it does and checks.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"syscall"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx, os.Args[1:], os.Stdout); err != nil && !errors.Is(err, flag.ErrHelp) {
		fmt.Fprintln(os.Stderr, "blox-torture:", err)
		os.Exit(1)
	}
}

// Command blox is the operator's command line of Blox.
package main

import (
	"context"
	"os"
	"os/signal"
	"syscall"

	"github.com/blox/blox/cmd/blox/command"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	context.AfterFunc(ctx, stop) // a second Ctrl-C ends the process at once
	program := command.Program{In: os.Stdin, Out: os.Stdout, Err: os.Stderr, Getenv: os.Getenv}
	os.Exit(program.Run(ctx, os.Args[1:]))
}

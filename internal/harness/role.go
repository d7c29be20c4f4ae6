package harness

import (
	"context"
	"fmt"
	"os"
	"os/signal"
	"syscall"
)

const roleVariable = "BLOX_HARNESS_ROLE"

// Role is a function that an executable runs in a process of its own. It gets the process's arguments and a context
// that ends with SIGINT or SIGTERM.
type Role func(ctx context.Context, args []string) error

// RunRole runs the role for which Process.Start started this process, and exits. In other processes it does nothing.
// Executables that start roles or etcd members call it first in main; test packages call it first in TestMain.
func RunRole(roles map[string]Role) {
	name := os.Getenv(roleVariable)
	if name == "" {
		return
	}
	role := roles[name]
	if name == etcdRole {
		role = runEtcdMember
	}
	if role == nil {
		exit(fmt.Errorf("unknown role %q", name))
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := role(ctx, os.Args[1:])
	stop()
	exit(err)
}

func exit(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	os.Exit(0)
}

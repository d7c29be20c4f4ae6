package bench

import (
	"context"
	"errors"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"runtime/pprof"
	"time"

	"github.com/sirupsen/logrus"

	clusterstate "github.com/blox/blox/cluster-state-service"
	daemonscheduler "github.com/blox/blox/daemon-scheduler"
	"github.com/blox/blox/internal/harness"
)

const (
	clusterStateRole = "cluster-state-service"
	schedulerRole    = "daemon-scheduler"
)

// Roles returns the functions that blox-bench runs as processes of their own. Its main passes them to harness.RunRole.
func Roles() map[string]harness.Role {
	return map[string]harness.Role{
		responseRole:     serveResponse,
		linesRole:        serveLines,
		clusterStateRole: profileClusterState,
		schedulerRole:    profileScheduler,
	}
}

// profileClusterState runs cluster-state-service. The first argument is the directory of the profiles, the others are
// the service's.
func profileClusterState(ctx context.Context, args []string) error {
	cfg, err := clusterstate.ParseConfig(args[1:], os.Getenv, io.Discard)
	if err != nil {
		return err
	}
	return profile(ctx, args[0], clusterStateRole, func(log logrus.FieldLogger) error {
		return clusterstate.Run(ctx, cfg, log)
	})
}

// profileScheduler runs daemon-scheduler. The arguments are as for profileClusterState.
func profileScheduler(ctx context.Context, args []string) error {
	cfg, err := daemonscheduler.ParseConfig(args[1:], os.Getenv, io.Discard)
	if err != nil {
		return err
	}
	return profile(ctx, args[0], schedulerRole, func(log logrus.FieldLogger) error {
		return daemonscheduler.Run(ctx, cfg, log)
	})
}

// profile writes a CPU profile of the whole of run, and a heap profile of the time when ctx ends, to the directory.
func profile(ctx context.Context, dir, program string, run func(logrus.FieldLogger) error) (err error) {
	name := filepath.Join(dir, time.Now().Format("150405.000")+"."+program)
	cpu, err := os.Create(name + ".cpu.prof")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, cpu.Close()) }()
	heap, err := os.Create(name + ".heap.prof")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, heap.Close()) }()
	if err := pprof.StartCPUProfile(cpu); err != nil {
		return err
	}
	defer pprof.StopCPUProfile()
	written := make(chan struct{})
	context.AfterFunc(ctx, func() {
		defer close(written)
		runtime.GC()
		_ = pprof.WriteHeapProfile(heap)
	})
	defer func() {
		if ctx.Err() != nil { // else the service failed
			<-written
		}
	}()
	log := logrus.New()
	log.SetLevel(logrus.WarnLevel)
	return run(log)
}

package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"runtime"
	"runtime/pprof"
	"time"

	"github.com/sirupsen/logrus"

	clusterstate "github.com/blox/blox/cluster-state-service"
	daemonscheduler "github.com/blox/blox/daemon-scheduler"
	"github.com/blox/blox/internal/etcd/embedded"
	"github.com/blox/blox/internal/httpserver"
)

// roles are what this program does as a process beside the one that measures.
var roles = map[string]func(context.Context, []string) error{
	"etcd": serveEtcd, "floor": serveFloor, "service": serveProfiled, "scheduler": scheduleProfiled,
}

// serveEtcd is an etcd on the files in the directory given, which says where it listens.
func serveEtcd(ctx context.Context, args []string) error {
	server, err := embedded.Start(ctx, args[0], embedded.Options{Quota: 8 << 30})
	if err != nil {
		return err
	}
	defer server.Close()
	fmt.Println(server.Address())
	<-ctx.Done()
	return nil
}

// serveFloor answers every request with what the URL given answers now, over the same server as the service. It says
// where it listens.
func serveFloor(ctx context.Context, args []string) error {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, args[0], nil)
	if err != nil {
		return err
	}
	request.Header.Set("Accept-Encoding", "identity") // as the load does
	answer, err := http.DefaultClient.Do(request)
	if err != nil {
		return err
	}
	defer answer.Body.Close()
	body, err := io.ReadAll(answer.Body)
	if err != nil {
		return err
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	fmt.Println(listener.Addr())
	log := logrus.New()
	log.SetLevel(logrus.WarnLevel)
	answer.Header.Del("Date") // net/http sets it
	return httpserver.Serve(ctx, listener, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		for name, values := range answer.Header {
			w.Header()[name] = values
		}
		_, _ = w.Write(body)
	}), log)
}

// serveProfiled is the cluster-state-service, profiled.
func serveProfiled(ctx context.Context, args []string) error {
	cfg, err := clusterstate.ParseConfig(args[1:], os.Getenv, io.Discard)
	if err != nil {
		return err
	}
	return profiled(ctx, args[0], "", func(log logrus.FieldLogger) error { return clusterstate.Run(ctx, cfg, log) })
}

// scheduleProfiled is the daemon-scheduler, profiled.
func scheduleProfiled(ctx context.Context, args []string) error {
	cfg, err := daemonscheduler.ParseConfig(args[1:], os.Getenv, io.Discard)
	if err != nil {
		return err
	}
	return profiled(ctx, args[0], ".scheduler", func(log logrus.FieldLogger) error { return daemonscheduler.Run(ctx, cfg, log) })
}

// profiled writes a CPU profile of the life of run, and a heap profile of its end, to the directory.
func profiled(ctx context.Context, directory, suffix string, run func(logrus.FieldLogger) error) (err error) {
	name := filepath.Join(directory, time.Now().Format("150405.000")+suffix)
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
	defer context.AfterFunc(ctx, func() { runtime.GC(); _ = pprof.WriteHeapProfile(heap) })()
	log := logrus.New()
	log.SetLevel(logrus.WarnLevel)
	return run(log)
}

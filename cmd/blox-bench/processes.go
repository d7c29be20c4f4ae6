package main

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/sqs"
	clientv3 "go.etcd.io/etcd/client/v3"

	"github.com/blox/blox/internal/awsconfig"
	"github.com/blox/blox/internal/etcd"
)

const region, queueName = "us-east-1", "blox_queue"

// world is what one section measures in: an etcd, a simulated AWS, and what is started beside them. Each is a process
// of its own.
type world struct {
	ctx   context.Context
	cfg   config
	dir   string
	ended []func()

	etcdAddress string
	etcd        *clientv3.Client
	awsURL      string
	sqs         *sqs.Client
	queueURL    *string
	queue       string // --queue of the service
}

// newWorld starts etcd, with its files on disk as in production, and the simulator. The caller closes it.
func newWorld(ctx context.Context, cfg config, simArgs ...string) (_ *world, err error) {
	w := &world{ctx: ctx, cfg: cfg, queue: queueName}
	defer func() {
		if err != nil {
			w.close()
		}
	}()
	if w.dir, err = os.MkdirTemp("", "blox-bench-"); err != nil {
		return nil, err
	}
	w.ended = append(w.ended, func() { _ = os.RemoveAll(w.dir) })
	self, err := os.Executable()
	if err != nil {
		return nil, err
	}
	server, line, err := w.start(true, self, "etcd", filepath.Join(w.dir, "etcd"))
	if err != nil {
		return nil, err
	}
	w.ended = append(w.ended, server.stop)
	w.etcdAddress = line
	if w.etcd, err = etcd.New(etcd.Config{Endpoints: []string{w.etcdAddress}}, nil); err != nil {
		return nil, err
	}
	w.ended = append(w.ended, func() { _ = w.etcd.Close() })
	sim, line, err := w.start(true, filepath.Join(cfg.bin, "ecs-sim"), append([]string{"--bind", "127.0.0.1:0"}, simArgs...)...)
	if err != nil {
		return nil, err
	}
	w.ended = append(w.ended, sim.stop)
	_, rest, _ := strings.Cut(line, "AWS_ENDPOINT_URL=")
	w.awsURL, _, _ = strings.Cut(rest, " ")
	aws, err := awsconfig.Load(ctx, w.getenv)
	if err != nil {
		return nil, err
	}
	w.sqs = awsconfig.SQS(aws)
	name := queueName
	queue, err := w.sqs.GetQueueUrl(ctx, &sqs.GetQueueUrlInput{QueueName: &name})
	if err != nil {
		return nil, err
	}
	w.queueURL = queue.QueueUrl
	return w, nil
}

func (w *world) close() {
	for len(w.ended) > 0 {
		last := len(w.ended) - 1
		w.ended[last]()
		w.ended = w.ended[:last]
	}
}

func (w *world) environment() map[string]string {
	return map[string]string{
		"AWS_REGION": region, "AWS_ENDPOINT_URL": w.awsURL, "AWS_ACCESS_KEY_ID": "any", "AWS_SECRET_ACCESS_KEY": "any", "CSS_LOG_LEVEL": "warn", "DS_LOG_LEVEL": "error",
	}
}

func (w *world) getenv(name string) string { return w.environment()[name] }

// process is one that was started here.
type process struct {
	command *exec.Cmd
	output  *bytes.Buffer // of stderr
	done    chan struct{}
}

// start runs a program until stop; with a line, it returns the first that the program prints.
func (w *world) start(wantLine bool, program string, args ...string) (*process, string, error) {
	p := &process{command: exec.CommandContext(w.ctx, program, args...), output: &bytes.Buffer{}, done: make(chan struct{})}
	p.command.Env = os.Environ()
	for name, value := range w.environment() {
		p.command.Env = append(p.command.Env, name+"="+value)
	}
	p.command.Stderr = p.output
	p.command.Cancel = func() error { return p.command.Process.Signal(os.Interrupt) }
	p.command.WaitDelay = 10 * time.Second
	reader, writer := io.Pipe()
	p.command.Stdout = writer
	if err := p.command.Start(); err != nil {
		return nil, "", fmt.Errorf("start %s: %w", filepath.Base(program), err)
	}
	go func() { defer close(p.done); _ = p.command.Wait(); _ = writer.Close() }()
	lines := bufio.NewReader(reader)
	line := ""
	if wantLine {
		var err error
		if line, err = lines.ReadString('\n'); err != nil {
			p.stop()
			return nil, "", fmt.Errorf("%s does not start: %s", filepath.Base(program), p.output)
		}
	}
	go func() { _, _ = io.Copy(io.Discard, lines) }()
	return p, strings.TrimSpace(line), nil
}

// stop asks the process to end, and sees to it.
func (p *process) stop() {
	_ = p.command.Process.Signal(syscall.SIGTERM)
	select {
	case <-p.done:
	case <-time.After(10 * time.Second):
		_ = p.command.Process.Kill()
		<-p.done
	}
}

// memory is a line of /proc/<pid>/status in bytes, such as VmHWM, the most that was ever resident; not on all systems.
func (p *process) memory(name string) (float64, error) {
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", p.command.Process.Pid))
	if err != nil {
		return 0, err
	}
	for line := range strings.Lines(string(status)) {
		if fields := strings.Fields(line); len(fields) == 3 && fields[0] == name+":" {
			kilobytes, err := strconv.ParseFloat(fields[1], 64)
			return kilobytes * 1024, err
		}
	}
	return 0, errors.New("no " + name)
}

// service is a running cluster-state-service.
type service struct {
	*process
	url string
	// readyAfter is the time from the start of the process to its first 200 for /v1/ready.
	readyAfter time.Duration
}

// service starts one and waits until it is ready.
func (w *world) service() (*service, error) {
	s, err := w.serviceSoon()
	if err != nil {
		return nil, err
	}
	if err := s.ready(w.ctx, 3*time.Minute); err != nil {
		s.stop()
		return nil, err
	}
	return s, nil
}

// serviceSoon starts one.
func (w *world) serviceSoon() (*service, error) {
	address, err := freeAddress()
	if err != nil {
		return nil, err
	}
	program, args := filepath.Join(w.cfg.bin, "cluster-state-service"), []string{
		"--bind", address, "--etcd-endpoint", w.etcdAddress, "--queue", w.queue, "--pollers", strconv.Itoa(w.cfg.pollers)}
	if w.cfg.profiles != "" {
		if program, err = os.Executable(); err != nil {
			return nil, err
		}
		args = append([]string{"service", w.cfg.profiles}, args...)
	}
	began := time.Now()
	p, _, err := w.start(false, program, args...)
	if err != nil {
		return nil, err
	}
	return &service{process: p, url: "http://" + address, readyAfter: -time.Since(began)}, nil
}

func (s *service) ready(ctx context.Context, within time.Duration) error {
	began := time.Now()
	for time.Since(began) < within && ctx.Err() == nil {
		answer, err := http.Get(s.url + "/v1/ready")
		if err == nil {
			_ = answer.Body.Close()
			if answer.StatusCode == http.StatusOK {
				s.readyAfter = time.Since(began) - s.readyAfter
				return nil
			}
		}
		select {
		case <-s.done:
			return fmt.Errorf("cluster-state-service ended: %s", s.output)
		case <-time.After(5 * time.Millisecond):
		}
	}
	return fmt.Errorf("cluster-state-service is not ready after %s: %s", within, s.output)
}

func freeAddress() (string, error) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", err
	}
	return listener.Addr().String(), listener.Close()
}

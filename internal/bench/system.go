package bench

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"syscall"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/sqs"
	"github.com/go-openapi/swag/conv"
	clientv3 "go.etcd.io/etcd/client/v3"

	"github.com/blox/blox/internal/awsconfig"
	"github.com/blox/blox/internal/etcd"
	"github.com/blox/blox/internal/harness"
)

const (
	region       = "us-east-1"
	queueName    = "blox_queue"
	etcdQuota    = 8 << 30 // bytes
	startTimeout = time.Minute
	readyTimeout = 3 * time.Minute
	stopTimeout  = 10 * time.Second
)

// system holds the processes of one section: etcd, the simulator, and the services that the section starts.
type system struct {
	cfg      config
	dir      string           // logs and etcd's files
	stop     []func()         // in the order of the starts
	launched int              // services started so far
	etcd     *clientv3.Client // nil before etcd is ready
	member   *harness.Process // of etcd
	endpoint string           // host:port of etcd
	simURL   string           // of the simulator
	sqs      *sqs.Client
	queueURL *string
	queue    string // --queue of cluster-state-service
}

// newSystem starts etcd, which writes its files to disk as in production, and the simulator. The caller closes the
// system.
func newSystem(ctx context.Context, cfg config, simFlags ...string) (_ *system, err error) {
	s := &system{cfg: cfg, queue: queueName}
	defer func() {
		if err != nil {
			s.close()
		}
	}()
	if s.dir, err = os.MkdirTemp("", "blox-bench-"); err != nil {
		return nil, err
	}
	s.stop = append(s.stop, func() { _ = os.RemoveAll(s.dir) })
	if err := s.startEtcd(ctx); err != nil {
		return nil, err
	}
	if err := s.startSimulator(ctx, simFlags); err != nil {
		return nil, err
	}
	aws, err := awsconfig.Load(ctx, s.getenv)
	if err != nil {
		return nil, err
	}
	s.sqs = awsconfig.SQS(aws)
	queue, err := s.sqs.GetQueueUrl(ctx, &sqs.GetQueueUrlInput{QueueName: conv.Pointer(queueName)})
	if err != nil {
		return nil, err
	}
	s.queueURL = queue.QueueUrl
	return s, nil
}

func (s *system) startEtcd(ctx context.Context) error {
	server, err := harness.NewEtcd(harness.EtcdConfig{Dir: s.dir, Members: 1, Quota: etcdQuota, Fsync: true})
	if err != nil {
		return err
	}
	s.stop = append(s.stop, server.Kill)
	if err := server.Start(ctx, startTimeout); err != nil {
		return err
	}
	s.endpoint, s.member = server.Endpoints[0], server.Members[0]
	if s.etcd, err = etcd.New(etcd.Config{Endpoints: server.Endpoints}, nil); err != nil {
		return err
	}
	s.stop = append(s.stop, func() { _ = s.etcd.Close() })
	return nil
}

func (s *system) startSimulator(ctx context.Context, flags []string) error {
	address, err := harness.FreeAddress()
	if err != nil {
		return err
	}
	s.simURL = "http://" + address
	sim, err := s.start(harness.Config{
		Name: "ecs-sim", Path: filepath.Join(s.cfg.bin, "ecs-sim"), Args: append([]string{"--bind", address}, flags...),
	})
	if err != nil {
		return err
	}
	return sim.AwaitReady(ctx, s.simURL+"/_sim/ping", startTimeout)
}

// start starts a process that ends with the system.
func (s *system) start(cfg harness.Config) (*harness.Process, error) {
	cfg.Dir = s.dir
	for name, value := range s.variables() {
		cfg.Env = append(cfg.Env, name+"="+value)
	}
	p := harness.NewProcess(cfg)
	if err := p.Start(); err != nil {
		return nil, err
	}
	s.stop = append(s.stop, func() { terminate(p) })
	return p, nil
}

// terminate ends a process with SIGTERM. It does nothing if the process has ended.
func terminate(p *harness.Process) { p.Stop(syscall.SIGTERM, stopTimeout) }

// close ends every process, the last one first, and removes the files.
func (s *system) close() {
	for len(s.stop) > 0 {
		last := len(s.stop) - 1
		s.stop[last]()
		s.stop = s.stop[:last]
	}
}

// variables returns the environment variables of every process.
func (s *system) variables() map[string]string {
	return map[string]string{
		"AWS_REGION": region, "AWS_ENDPOINT_URL": s.simURL, "AWS_ACCESS_KEY_ID": "any", "AWS_SECRET_ACCESS_KEY": "any",
		"CSS_LOG_LEVEL": "warn", "DS_LOG_LEVEL": "error",
	}
}

func (s *system) getenv(name string) string { return s.variables()[name] }

// service is a running cluster-state-service or daemon-scheduler.
type service struct {
	*harness.Process
	url         string
	startedAt   time.Time
	startupTime time.Duration // from the start of the process to the first 200 of /v1/ready
}

func (s *service) stop() { terminate(s.Process) }

// awaitReady returns when the service is ready.
func (s *service) awaitReady(ctx context.Context) error {
	err := s.AwaitReady(ctx, s.url+"/v1/ready", readyTimeout)
	s.startupTime = time.Since(s.startedAt)
	return err
}

// startClusterState starts a cluster-state-service and returns when it is ready.
func (s *system) startClusterState(ctx context.Context, flags ...string) (*service, error) {
	css, err := s.launchClusterState(flags...)
	if err != nil {
		return nil, err
	}
	return css, css.awaitReady(ctx)
}

// launchClusterState starts a cluster-state-service without waiting for its readiness.
func (s *system) launchClusterState(flags ...string) (*service, error) {
	return s.launch("cluster-state-service", clusterStateRole, append([]string{
		"--etcd-endpoint", s.endpoint, "--queue", s.queue, "--pollers", strconv.Itoa(s.cfg.pollers),
	}, flags...)...)
}

// launch starts a service. With --profiles, the service is a role of this program, which writes profiles.
func (s *system) launch(program, role string, flags ...string) (*service, error) {
	address, err := harness.FreeAddress()
	if err != nil {
		return nil, err
	}
	cfg := harness.Config{
		Name: fmt.Sprintf("%s-%d", program, s.launched), Path: filepath.Join(s.cfg.bin, program),
		Args: append([]string{"--bind", address}, flags...),
	}
	if s.cfg.profiles != "" {
		cfg.Path = "" // this program
		cfg.Role = role
		cfg.Args = append([]string{s.cfg.profiles}, cfg.Args...)
	}
	startedAt := time.Now()
	p, err := s.start(cfg)
	if err != nil {
		return nil, err
	}
	s.launched++
	return &service{Process: p, url: "http://" + address, startedAt: startedAt}, nil
}

// checkRunning returns an error if the process has ended.
func (s *service) checkRunning() error {
	select {
	case <-s.Done():
		return fmt.Errorf("%s ended", s.Name())
	default:
		return nil
	}
}

package robustness

import (
	"fmt"
	"path/filepath"
	"slices"
	"strconv"

	"github.com/blox/blox/internal/harness"
)

// programs configures the simulator and the services.
type programs struct {
	*system
	cfg config
	dir string
}

func (p programs) add(name, program string, env, args []string) {
	process := harness.Config{
		Name: name, Path: filepath.Join(p.cfg.bin, program), Args: args, Env: env, Dir: p.dir, OnExit: p.exited,
	}
	if p.cfg.previous != "" && name != "sim" {
		process.Alternative = filepath.Join(p.cfg.previous, filepath.Base(program))
	}
	p.processes[name] = harness.NewProcess(process)
}

func (p programs) addAll() error {
	p.addSimulator()
	for n := range replicas {
		if err := p.addStateService(fmt.Sprintf("css-%d", n)); err != nil {
			return err
		}
	}
	for n := range replicas {
		if err := p.addScheduler(fmt.Sprintf("ds-%d", n)); err != nil {
			return err
		}
	}
	return nil
}

func (p programs) addSimulator() {
	args := []string{
		"--bind", p.addresses["sim"], "--seed", strconv.FormatUint(p.cfg.seed, 10), "--acknowledged", "20000",
		"--pending-delay", "100ms", "--stop-delay", "100ms", "--health-delay", "300ms",
	}
	if p.cfg.events == 0 {
		args = append(args, "--changes", strconv.Itoa(loggedChanges))
	}
	if p.cfg.events > 0 { // tasks that stopped remain comparable
		args = append(args, "--stopped-task-retention", "24h")
	}
	if p.cfg.limits {
		args = append(args, "--api-limits")
	}
	if p.cfg.kinesis {
		args = append(args, "--stream", streamName+":3")
	}
	p.add("sim", "ecs-sim", nil, append(args, simulatorFlags(p.places)...))
}

// addStateService configures a cluster-state-service. Without a load, clusters are small and reconciled often. With
// one, many messages are in flight, because on a busy machine each commit takes long.
func (p programs) addStateService(name string) error {
	env, args, err := p.serviceConfig(name)
	if err != nil {
		return err
	}
	source := queueName
	if p.cfg.kinesis {
		source = "kinesis://" + streamName
	}
	args = append(append(args, sourceFlags(p.places, source)...), "--etcd-history", "30s")
	if p.cfg.events > 0 {
		args = append(args, "--reconcile-interval", "30s", "--reconcile-rate", "20", "--pollers", "64")
	} else {
		args = append(args, "--reconcile-interval", "7s")
	}
	p.add(name, p.serviceProgram("cluster-state-service"), env, args)
	address, err := p.addProxy("client>"+name, p.addresses[name])
	p.css = append(p.css, address)
	return err
}

func (p programs) addScheduler(name string) error {
	env, args, err := p.serviceConfig(name)
	if err != nil {
		return err
	}
	for target := range replicas {
		css := fmt.Sprintf("css-%d", target)
		address, err := p.addProxy(name+">"+css, p.addresses[css])
		if err != nil {
			return err
		}
		args = append(args, "--css-endpoint", address)
	}
	args = append(args, "--start-confirm-timeout", startConfirmTimeout.String(), "--leader-lease", leaderLease.String())
	if p.cfg.regions > 1 {
		args = append(args, "--workers", strconv.Itoa(outageWorkers))
	}
	if !p.cfg.limits { // with limits, the services keep to ECS's rates
		args = append(args, "--change-rate", "40", "--read-rate", "20", "--lookup-rate", "200")
	}
	p.add(name, p.serviceProgram("daemon-scheduler"), env, args)
	address, err := p.addProxy("client>"+name, p.addresses[name])
	p.ds = append(p.ds, address)
	return err
}

// serviceConfig returns the variables and flags that both services need. The service reaches AWS and each etcd member
// through proxies of its own.
func (p programs) serviceConfig(name string) (env, args []string, err error) {
	aws, err := p.addProxy(name+">sim", p.addresses["sim"])
	if err != nil {
		return nil, nil, err
	}
	for variable, value := range awsVariables(aws) {
		env = append(env, variable+"="+value)
	}
	env = append(env, "CSS_LOG_LEVEL=info", "DS_LOG_LEVEL=info")
	if clock := p.clocks[name]; clock != nil {
		env = append(env, clock.Env())
	}
	var endpoints []string
	for _, member := range etcdNames {
		endpoint, err := p.addProxy(name+">etcd", p.addresses[member])
		if err != nil {
			return nil, nil, err
		}
		endpoints = append(endpoints, endpoint)
	}
	access, args := p.access.service(endpoints)
	return slices.Concat(env, access), append(args, "--bind", p.addresses[name]), nil
}

func awsVariables(address string) map[string]string {
	return map[string]string{
		"AWS_REGION": home.region, "AWS_ENDPOINT_URL": "http://" + address,
		"AWS_ACCESS_KEY_ID": "x", "AWS_SECRET_ACCESS_KEY": "x",
	}
}

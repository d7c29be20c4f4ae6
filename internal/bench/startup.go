package bench

import (
	"context"
	"time"
)

// measureStartup measures the time until a service is ready, and its peak memory. The baselines are the time to read
// the same keys from etcd page by page, and their bytes.
func measureStartup(ctx context.Context, cfg config, t *table) error {
	s, err := newSystem(ctx, cfg)
	if err != nil {
		return err
	}
	defer s.close()
	bytes, err := seed(ctx, s.etcd, 100_000, 10_000)
	if err != nil {
		return err
	}
	stored := float64(bytes) / mib
	var startup, ready, listed []sample
	for range cfg.runs {
		start := time.Now()
		if err := listBaseline(ctx, s.etcd); err != nil {
			return err
		}
		baseline := time.Since(start)
		css, err := s.startClusterState(ctx)
		if err != nil {
			return err
		}
		startup = append(startup, sample{css.startupTime.Seconds(), baseline.Seconds()})
		ready = append(ready, sample{css.memory("VmHWM"), stored})
		if _, _, err := generateLoad(ctx, css.url+"/v1/tasks", 4, cfg.duration); err != nil {
			return err
		}
		listed = append(listed, sample{css.memory("VmHWM"), stored})
		css.stop()
	}
	const section, name = "startup", "100,000 tasks on 10,000 instances: "
	t.add(section, name+"process start to ready", "s", startup, below("< 4 s", 4))
	t.add(section, name+"peak resident memory", "MiB", ready, below("< 512 MiB", 512))
	t.add(section, name+"the same, after lists of all by 4 clients", "MiB", listed, below("< 512 MiB", 512))
	return nil
}

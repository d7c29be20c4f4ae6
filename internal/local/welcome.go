package local

import "strings"

// welcome returns what a new user needs: the addresses, and what to type next.
func welcome(l listeners, etcd string) string {
	css, ds, ecs := "http://"+l.css.Addr().String(), "http://"+l.ds.Addr().String(), "http://"+l.ecs.Addr().String()
	var variables string
	for _, v := range []struct{ name, value, byDefault string }{
		{"BLOX_ENDPOINT", ds, "http://127.0.0.1:2000"}, {"BLOX_CSS_ENDPOINT", css, "http://127.0.0.1:3000"},
		{"BLOX_SIM_ENDPOINT", ecs, "http://127.0.0.1:4566"},
	} {
		if v.value != v.byDefault {
			variables += "  export " + v.name + "=" + v.value + "\n"
		}
	}
	return strings.NewReplacer("CSS", css, "DS", ds, "SIM", ecs, "ETCD", etcd, "  VARIABLES\n", variables).Replace(`
Blox is running. Press Ctrl-C to stop it.

  cluster-state-service   CSS/   container instances and tasks
  daemon-scheduler        DS/   environments and deployments
  simulated ECS and SQS   SIM    cluster "default", task definition "agent:1"
  etcd                    ETCD

Next, in another terminal:

  export PATH=$PWD/bin:$PATH
  VARIABLES
  blox environments create web-agent --cluster default --task-definition agent:1
  blox deploy web-agent --watch           # starts one task on each container instance
  blox sim instances add                  # adds a container instance, which gets its task
  blox environments instances web-agent   # shows the state of each container instance

daemon-scheduler/docs/walkthrough.md does the same with curl, and more.

`)
}

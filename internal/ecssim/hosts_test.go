package ecssim

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ecs"
	"github.com/aws/aws-sdk-go-v2/service/ecs/types"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// startOn starts a task of a family on an instance of the cluster default, without a call.
func startOn(s *Sim, family, instance string) {
	s.lock()
	defer s.unlock()
	s.start(launch{
		cluster: s.clusters["default"], instance: s.findInstance(instance), definition: s.definition(family),
	})
}

func TestLoseInstance_StopsTasksLate(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := New(Config{})
		defer s.Close()
		s.RegisterTaskDefinition("agent")
		instances := s.AddInstances("default", 2)
		for _, instance := range instances {
			startOn(s, "agent", instance)
			require.NoError(t, s.LoseInstance(instance))
		}
		time.Sleep(10 * time.Minute)
		require.NoError(t, s.SetAgentConnected(instances[1], true))
		require.NoError(t, s.SetAgentConnected(instances[1], false))
		time.Sleep(15*time.Minute - time.Second)
		synctest.Wait()
		assert.Equal(t, "RUNNING", s.Tasks("")[0].LastStatus)
		assert.False(t, s.Instances("")[0].AgentConnected)
		time.Sleep(2 * time.Second)
		synctest.Wait()
		lost, kept := s.Tasks("")[0], s.Tasks("")[1]
		assert.Equal(t, []string{"STOPPED", "TerminationNotice"}, []string{lost.LastStatus, lost.StopCode})
		assert.Nil(t, lost.ExitCode)
		assert.Equal(t, "INACTIVE", s.Instances("")[0].Status)
		assert.Equal(t, "RUNNING", kept.LastStatus, "its host came back meanwhile")
		assert.ErrorIs(t, s.LoseInstance(instances[0]), errNotFound)
	})
}

func TestFaults_AgentsFlap(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := New(Config{})
		defer s.Close()
		s.AddInstances("default", 4)
		connected := func() (n int) {
			synctest.Wait()
			for _, i := range s.Instances("") {
				if i.AgentConnected {
					n++
				}
			}
			return n
		}
		flaps := AgentFlaps{Every: Duration(time.Minute), For: Duration(5 * time.Second), Fraction: 1}
		s.SetFaults(Faults{AgentFlaps: flaps})
		for range 3 {
			time.Sleep(time.Minute + time.Second)
			assert.Zero(t, connected())
			time.Sleep(5 * time.Second)
			assert.Equal(t, 4, connected())
			s.SetFaults(Faults{AgentFlaps: flaps}) // begins anew
		}
		time.Sleep(time.Minute + time.Second)
		require.NoError(t, s.SetAgentConnected(s.Instances("")[0].ARN, true))
		require.NoError(t, s.SetAgentConnected(s.Instances("")[0].ARN, false))
		s.SetFaults(Faults{})
		time.Sleep(time.Hour)
		assert.Equal(t, 3, connected(), "an agent that is disconnected on purpose stays so")
	})
	assert.ErrorContains(t, Faults{AgentFlaps: AgentFlaps{Every: 1, For: 1}}.validate(), "below every")
	assert.ErrorContains(t, Faults{AgentFlaps: AgentFlaps{Fraction: 2}}.validate(), "agentFlaps")
}

func TestExternalInstances_RunExternalTasks(t *testing.T) {
	w := newFixture(t, Config{})
	w.RegisterTaskDefinition("agent")
	w.RegisterTaskDefinition("vpc", WithNetworkMode("awsvpc"))
	external := w.AddExternalInstances("default", 1)
	registered, err := w.ecs.RegisterContainerInstance(w.ctx, &ecs.RegisterContainerInstanceInput{
		InstanceIdentityDocument: aws.String(`{"instanceId":"mi-0123"}`),
	})
	require.NoError(t, err)
	w.start("agent", "d1", external[0], *registered.ContainerInstance.ContainerInstanceArn)
	listed, err := w.ecs.ListTasks(w.ctx, &ecs.ListTasksInput{LaunchType: types.LaunchTypeExternal})
	require.NoError(t, err)
	assert.Len(t, listed.TaskArns, 2)
	assert.Regexp(t, `^mi-0[0-9a-f]{16}$`, w.Instances("")[0].EC2InstanceID)
	assert.Contains(t, w.Instances("")[1].Attributes, "ecs.capability.external")
	out, err := w.ecs.StartTask(w.ctx, &ecs.StartTaskInput{
		TaskDefinition: aws.String("vpc"), ContainerInstances: external,
		NetworkConfiguration: &types.NetworkConfiguration{AwsvpcConfiguration: &types.AwsVpcConfiguration{
			Subnets: []string{"subnet-1"},
		}},
	})
	require.NoError(t, err)
	assert.Equal(t, "ATTRIBUTE", *out.Failures[0].Reason, "external instances have no awsvpc")
}

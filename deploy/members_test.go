package deploy

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/blox/blox/deploy/test/template"
)

// members are the suffixes of the logical IDs of etcd's members, by the names of the members.
var members = map[string]string{"etcd": "", "etcd-2": "2", "etcd-3": "3"}

// stackWith evaluates the template of BloxAws.
func stackWith(t *testing.T, parameters map[string]string) *template.Stack {
	t.Helper()
	stack, err := template.Read(awsStack, parameters)
	require.NoError(t, err)
	return stack
}

// environmentOf returns the variables of a task definition.
func environmentOf(t *testing.T, stack *template.Stack, task string) map[string]string {
	t.Helper()
	variables, err := stack.Environment(task)
	require.NoError(t, err)
	environment := map[string]string{}
	for _, variable := range variables {
		name, value, _ := strings.Cut(variable, "=")
		environment[name] = value
	}
	return environment
}

func TestStack_HasOneMemberOfEtcdByDefault(t *testing.T) {
	stack := stackWith(t, nil)
	for _, id := range stack.IDs() {
		assert.False(t, strings.HasSuffix(id, "2") || strings.HasSuffix(id, "3"), id)
	}
	environment := environmentOf(t, stack, "EtcdTask")
	assert.Equal(t, "etcd=http://etcd.blox.internal:2380", environment["ETCD_INITIAL_CLUSTER"])
	assert.Equal(t, "new", environment["ETCD_INITIAL_CLUSTER_STATE"])
	assert.Equal(t, "etcd.blox.internal:2379", environmentOf(t, stack, "StateTask")["CSS_ETCD_ENDPOINTS"])
}

func TestStack_ThreeMembersFormOneCluster(t *testing.T) {
	stack := stackWith(t, map[string]string{"EtcdMembers": "3"})
	directories := map[string]bool{}
	for name, suffix := range members {
		environment := environmentOf(t, stack, "EtcdTask"+suffix)
		assert.Equal(t, name, environment["ETCD_NAME"])
		assert.Equal(t, "etcd=http://etcd.blox.internal:2380,etcd-2=http://etcd-2.blox.internal:2380,"+
			"etcd-3=http://etcd-3.blox.internal:2380", environment["ETCD_INITIAL_CLUSTER"])
		assert.Equal(t, "http://"+name+".blox.internal:2380", environment["ETCD_INITIAL_ADVERTISE_PEER_URLS"])
		assert.Equal(t, "http://"+name+".blox.internal:2379", environment["ETCD_ADVERTISE_CLIENT_URLS"])
		assert.Equal(t, name, at(stack.Properties("EtcdName"+suffix), "Name"), "the name in DNS")
		assert.Equal(t, "existing", environment["ETCD_INITIAL_CLUSTER_STATE"],
			"a member without data must not form another cluster")
		directories[environment["ETCD_DATA_DIR"]] = true
	}
	assert.Len(t, directories, 3, "no member starts with the data of another, not even from a snapshot of its volume")
	const all = "etcd.blox.internal:2379,etcd-2.blox.internal:2379,etcd-3.blox.internal:2379"
	assert.Equal(t, all, environmentOf(t, stack, "StateTask")["CSS_ETCD_ENDPOINTS"])
	assert.Equal(t, all, environmentOf(t, stack, "SchedulerTask")["DS_ETCD_ENDPOINTS"])
	assert.NotEmpty(t, at(stack.Properties("EtcdPeers"), "SourceSecurityGroupId"))
}

// Each member's volume, instance and task are in one zone, and no two members share one.
func TestStack_PutsEachMemberInItsOwnZone(t *testing.T) {
	stack := stackWith(t, map[string]string{"EtcdMembers": "3"})
	script := at(stack.Properties("Template"), "LaunchTemplateData", "UserData")
	zones := map[string]bool{}
	for name, suffix := range members {
		subnet := asList(at(stack.Properties("Machine"+suffix), "VPCZoneIdentifier"))[0].(string)
		zones[subnet] = true
		assert.Equal(t, subnet+".AvailabilityZone", at(stack.Properties("Volume"+suffix), "AvailabilityZone"), name)
		assert.Equal(t, []any{subnet},
			at(stack.Properties("Etcd"+suffix), "NetworkConfiguration", "AwsvpcConfiguration", "Subnets"), name)
		number := "1"
		if suffix != "" {
			number = suffix
		}
		assert.Contains(t, script, subnet+".AvailabilityZone) member="+number+" group=Machine"+suffix+
			" volume=Volume"+suffix+" name="+name+" ;;")
		constraint := asList(at(stack.Properties("EtcdTask"+suffix), "PlacementConstraints"))[0]
		assert.Equal(t, "attribute:blox.etcd == BloxAws and attribute:blox.etcd-member == "+number,
			at(constraint, "Expression"))
	}
	assert.Len(t, zones, 3)
}

// An update stops a member only after the one before it has been updated.
func TestStack_UpdatesOneMemberAfterAnother(t *testing.T) {
	resources := resourcesOf(t, awsStack)
	for _, kind := range []string{"Machine", "Etcd"} {
		assert.Contains(t, at(resources[kind+"2"], "DependsOn"), kind)
		assert.Contains(t, at(resources[kind+"3"], "DependsOn"), kind+"2")
	}
	for _, suffix := range members {
		service := at(resources["Etcd"+suffix], "Properties", "DeploymentConfiguration")
		assert.Equal(t, "100", at(service, "MaximumPercent"), "never two tasks on the same data")
		group := at(resources["Machine"+suffix], "UpdatePolicy", "AutoScalingRollingUpdate")
		assert.Equal(t, "true", at(group, "WaitOnResourceSignals"))
	}
	stack := stackWith(t, map[string]string{"EtcdMembers": "3"})
	container := asList(at(stack.Properties("StateTask"), "ContainerDefinitions"))[0]
	assert.Equal(t, "Etcd3.Name", at(container, "DockerLabels", "etcd"), "the services start after the last member")
}

// An update of the stack must not delete etcd's data.
func TestStackPolicy_ProtectsTheVolumes(t *testing.T) {
	var policy struct {
		Statement []struct {
			Effect   string
			Resource string
		}
	}
	require.NoError(t, json.Unmarshal([]byte(readText(t, "aws/stack-policy.json")), &policy))
	require.Len(t, policy.Statement, 2)
	assert.Equal(t, "Deny", policy.Statement[1].Effect)
	assert.Equal(t, "LogicalResourceId/Volume*", policy.Statement[1].Resource)
}

func TestStack_UsesTLSInsideTheNetwork(t *testing.T) {
	stack := stackWith(t, map[string]string{
		"EtcdMembers": "3", "TlsSecretArn": "arn:secret", "CertificateArn": "arn:certificate", "CertificateName": "blox.example.com",
	})
	for _, suffix := range members {
		environment := environmentOf(t, stack, "EtcdTask"+suffix)
		for name, value := range environment {
			assert.NotContains(t, value, "http://", name)
		}
		assert.Equal(t, "true", environment["ETCD_CLIENT_CERT_AUTH"])
		assert.Equal(t, "true", environment["ETCD_PEER_CLIENT_CERT_AUTH"])
	}
	for prefix, task := range map[string]string{"CSS": "StateTask", "DS": "SchedulerTask"} {
		environment := environmentOf(t, stack, task)
		for _, endpoint := range strings.Split(environment[prefix+"_ETCD_ENDPOINTS"], ",") {
			assert.Regexp(t, `^https://etcd(-\d)?\.blox\.internal:2379$`, endpoint)
		}
		assert.Equal(t, "env:BLOX_CA", environment[prefix+"_ETCD_CA"])
		assert.Equal(t, "env:BLOX_CERT", environment[prefix+"_TLS_CERT"])
		assert.Equal(t, "arn:secret:ca::", environment["BLOX_CA"])
	}
	assert.Equal(t, "https://blox.example.com:3000", environmentOf(t, stack, "SchedulerTask")["DS_CSS_ENDPOINTS"])
	for _, id := range []string{"Listener", "StateListener", "SchedulerListener"} {
		assert.Equal(t, "HTTPS", at(stack.Properties(id), "Protocol"), id)
	}
	for _, id := range []string{"StateTargets", "SchedulerTargets"} {
		assert.Equal(t, "HTTPS", at(stack.Properties(id), "Protocol"), id)
		assert.Equal(t, "HTTPS", at(stack.Properties(id), "HealthCheckProtocol"), id)
	}
	assert.Equal(t, "blox.example.com", at(stack.Properties("Integration"), "TlsConfig", "ServerNameToVerify"))
}

// Only the roles that start tasks and instances can read the certificates, and only this secret.
func TestStack_ReadsNoOtherSecret(t *testing.T) {
	stack := stackWith(t, map[string]string{"TlsSecretArn": "arn:secret"})
	var readers []string
	for _, id := range stack.IDs() {
		walkMaps(stack.Properties(id), func(statement map[string]any) {
			if statement["Action"] == "secretsmanager:GetSecretValue" {
				readers = append(readers, id)
				assert.Equal(t, "arn:secret", statement["Resource"])
			}
		})
	}
	assert.Equal(t, []string{"ExecutionRole", "MachineRole"}, readers)
}

"""Creates and updates Blox's stacks in moto with change sets, and prints which types of resources moto skips.

    changesets.py MOTO_URL DEPLOY_DIRECTORY

moto supports some types and functions only. The script evaluates the conditions in a copy of the template, leaves the
other types out, and replaces references to them by texts. cfn-lint and `go test ./deploy` check the whole templates.
"""

import json
import sys
from pathlib import Path

import boto3
import yaml
from moto.cloudformation import parsing

LONG_FORMS = {"Ref": "Ref", "Condition": "Condition"}
NO_VALUE = {"Ref": "AWS::NoValue"}
CALL = dict(region_name="us-east-1", aws_access_key_id="any", aws_secret_access_key="any")

# The stack of v0.3's installation guide, reduced to the logical IDs and properties that an update keeps.
LOCAL_OF_V03 = {
    "Parameters": {"QueueName": {"Type": "String", "Default": "blox_queue"}},
    "Resources": {
        "Queue": {"Type": "AWS::SQS::Queue", "Properties": {"QueueName": {"Ref": "QueueName"}}},
        "CloudWatchEvents": {
            "Type": "AWS::Events::Rule",
            "Properties": {
                "Name": {"Fn::Sub": "${QueueName}Events"},
                "EventPattern": {"source": ["aws.ecs"]},
                "Targets": [{"Id": "SQSTarget", "Arn": {"Fn::GetAtt": ["Queue", "Arn"]}}],
            },
        },
    },
}
# The parameter file of v0.3's installation guide.
PARAMETERS_OF_V03 = {
    "EcsAmiId": "", "InstanceType": "t2.micro", "KeyName": "operator", "EcsClusterName": "Blox",
    "QueueName": "blox_queue", "ApiStageName": "blox",
}
THREE_MEMBERS = {"EtcdMembers": "3"}
ALL_OPTIONS = {
    "AlarmTopicArn": "arn:aws:sns:us-east-1:123456789012:alarms", "Monitoring": "yes", "Probe": "deploy",
    "ProbeTaskDefinition": "agent:1", "TlsSecretArn": "arn:aws:secretsmanager:us-east-1:123456789012:secret:blox-AbCdEf",
    "CertificateName": "blox.example.com",
}


class Loader(yaml.SafeLoader):
    """Loads the short forms of CloudFormation's functions as their long forms."""


def long_form(loader, suffix, node):
    if isinstance(node, yaml.ScalarNode):
        value = loader.construct_scalar(node)
        if suffix == "GetAtt":
            value = value.split(".", 1)
    elif isinstance(node, yaml.SequenceNode):
        value = loader.construct_sequence(node, deep=True)
    else:
        value = loader.construct_mapping(node, deep=True)
    return {LONG_FORMS.get(suffix, "Fn::" + suffix): value}


Loader.add_multi_constructor("!", long_form)


def supported():
    types = {model.cloudformation_type() for model in parsing.get_model_list()}
    return types | set(parsing.NULL_MODELS)


def holds(condition, template, values):
    """Evaluates a condition of the template."""

    def value(argument):
        if isinstance(argument, dict) and "Ref" in argument:
            return values[argument["Ref"]]
        if isinstance(argument, dict):
            return value(argument["Fn::Join"][1])  # joins one list parameter
        return str(argument)

    (function, arguments), = condition.items()
    if function == "Condition":
        return holds(template["Conditions"][arguments], template, values)
    if function == "Fn::Equals":
        return value(arguments[0]) == value(arguments[1])
    if function == "Fn::Not":
        return not holds(arguments[0], template, values)
    return all(holds(argument, template, values) for argument in arguments)  # Fn::And


def reduced(template, types, parameters):
    """Returns the template for these parameters without the resources of other types, and these types."""
    declared = template["Parameters"].items()
    values = {name: str(parameters.get(name, declaration.get("Default"))) for name, declaration in declared}
    conditions = {name: holds(one, template, values) for name, one in template.get("Conditions", {}).items()}
    resources = {
        name: resource for name, resource in template["Resources"].items()
        if conditions.get(resource.get("Condition"), True)
    }
    skipped = {name for name, resource in resources.items() if resource["Type"] not in types}

    def walk(value):
        if isinstance(value, list):
            return [item for item in map(walk, value) if item != NO_VALUE]
        if not isinstance(value, dict):
            return value
        if "Fn::If" in value:
            condition, yes, no = value["Fn::If"]
            return walk(yes if conditions[condition] else no)
        if value.get("Ref") in skipped:
            return value["Ref"]
        if "Fn::GetAtt" in value and value["Fn::GetAtt"][0] in skipped:
            return ".".join(value["Fn::GetAtt"])
        if "Fn::Cidr" in value:
            return [f"10.0.0.{64 * i}/26" for i in range(4)]
        if "Fn::Sub" in value:
            return {"Fn::Sub": substitution(value["Fn::Sub"])}
        fields = {key: walk(item) for key, item in value.items()}
        return {key: item for key, item in fields.items() if item != NO_VALUE}

    def substitution(value):
        text, variables = value if isinstance(value, list) else (value, None)
        for name in skipped:
            for reference in ("${%s}" % name, "${%s.Arn}" % name, "${%s.DNSName}" % name):
                text = text.replace(reference, name)
        return text if variables is None else [text, walk(variables)]

    kept = {}
    for name, resource in resources.items():
        if name in skipped:
            continue
        resource = dict(resource)
        resource.pop("Condition", None)
        depends = resource.pop("DependsOn", [])
        depends = [depends] if isinstance(depends, str) else depends
        if depends := [one for one in depends if one not in skipped]:
            resource["DependsOn"] = depends
        kept[name] = walk(resource)
    outputs = {
        name: {"Value": output["Value"]} for name, output in template.get("Outputs", {}).items()
        if conditions.get(output.get("Condition"), True)
    }
    copy = {"Parameters": template["Parameters"], "Resources": kept, "Outputs": walk(outputs)}
    return copy, {resources[name]["Type"] for name in skipped}


class Moto:
    def __init__(self, url):
        self.url = url
        self.cloudformation = self.client("cloudformation")

    def client(self, service):
        return boto3.client(service, endpoint_url=self.url, **CALL)

    def apply(self, stack, template, parameters, kind):
        """Creates a change set, executes it and returns the physical IDs by logical ID."""
        self.cloudformation.create_change_set(
            StackName=stack, ChangeSetName="change", ChangeSetType=kind, TemplateBody=json.dumps(template),
            Capabilities=["CAPABILITY_IAM"],
            Parameters=[{"ParameterKey": name, "ParameterValue": value} for name, value in parameters.items()],
        )
        self.cloudformation.execute_change_set(StackName=stack, ChangeSetName="change")
        status = self.cloudformation.describe_stacks(StackName=stack)["Stacks"][0]["StackStatus"]
        if status not in ("CREATE_COMPLETE", "UPDATE_COMPLETE"):
            raise SystemExit(f"{stack}: {status}")
        resources = self.cloudformation.describe_stack_resources(StackName=stack)["StackResources"]
        return {  # moto omits the IDs of some types
            resource["LogicalResourceId"]: resource.get("PhysicalResourceId")
            for resource in resources if "LogicalResourceId" in resource
        }


def same(name, before, after):
    if before != after:
        raise SystemExit(f"{name} was replaced: {before} became {after}")


def main(url, directory):
    moto = Moto(url)
    types = supported()
    skipped = []

    def apply(stack, name, parameters, kind, title):
        template = yaml.load((Path(directory) / name).read_text(), Loader)
        copy, without = reduced(template, types, parameters)
        resources = moto.apply(stack, copy, parameters, kind)
        skipped.append(f"| `{name}` | {title}: {len(resources)} resources | {', '.join(f'`{one}`' for one in sorted(without))} |")
        return resources

    sqs = moto.client("sqs")
    before = moto.apply("BloxLocal", LOCAL_OF_V03, {}, "CREATE")
    sqs.send_message(QueueUrl=before["Queue"], MessageBody="kept")
    after = apply("BloxLocal", "docker/blox-local.yml", {}, "UPDATE", "update of v0.3's stack")
    for name in before:
        same(name, before[name], after[name])
    messages = sqs.receive_message(QueueUrl=after["Queue"]).get("Messages", [])
    if [message["Body"] for message in messages] != ["kept"]:
        raise SystemExit(f"the update of BloxLocal lost a message: {messages}")
    role = {"DaemonRoleArns": "arn:aws:iam::123456789012:role/daemon"}
    apply("BloxLocalUser", "docker/blox-local-user.yml", role, "CREATE", "creation")

    moto.client("ec2").create_key_pair(KeyName="operator")
    parameters = PARAMETERS_OF_V03 | {"QueueName": "another_queue"}  # BloxLocal has blox_queue
    before = apply("BloxAws", "aws/blox-aws.yml", parameters, "CREATE", "creation with v0.3's parameters")
    after = apply("BloxAws", "aws/blox-aws.yml", parameters | THREE_MEMBERS, "UPDATE", "update to three members of etcd")
    for name in ("Volume", "Queue", "Vpc", "Cluster"):
        same(name, before[name], after[name])
    certificate = moto.client("acm").request_certificate(DomainName=ALL_OPTIONS["CertificateName"])["CertificateArn"]
    names = {"QueueName": "third_queue", "EcsClusterName": "Blox2", "CertificateArn": certificate}
    parameters |= THREE_MEMBERS | ALL_OPTIONS | names
    apply("BloxAws2", "aws/blox-aws.yml", parameters, "CREATE", "creation with all options")
    for row in skipped:
        print(row)


if __name__ == "__main__":
    main(*sys.argv[1:])

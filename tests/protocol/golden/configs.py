"""Golden bytes of the APIs for configs."""

from kpy.protocol.messages import alter_configs, incremental_alter_configs
from kpy.protocol.messages.alter_configs import AlterConfigsRequest, AlterConfigsResponse
from kpy.protocol.messages.describe_configs import (
    DescribeConfigsRequest,
    DescribeConfigsResource,
    DescribeConfigsResourceResult,
    DescribeConfigsResponse,
    DescribeConfigsResult,
    DescribeConfigsSynonym,
)
from kpy.protocol.messages.incremental_alter_configs import (
    IncrementalAlterConfigsRequest,
    IncrementalAlterConfigsResponse,
)
from kpy.protocol.messages.list_config_resources import (
    ConfigResource,
    ListConfigResourcesRequest,
    ListConfigResourcesResponse,
)
from tests.protocol.golden.notation import Golden

GOLDEN = [
    Golden(
        DescribeConfigsRequest(
            resources=[DescribeConfigsResource(resource_type=2, resource_name="t", configuration_keys=None)],
            include_synonyms=True,
        ),
        1,
        """
        00 00 00 01     | resources: 1
        02              |   resource_type: topic
        00 01 74        |   resource_name: "t"
        ff ff ff ff     |   configuration_keys: null
        01              | include_synonyms
        """,
    ),
    Golden(
        DescribeConfigsRequest(
            resources=[DescribeConfigsResource(resource_type=4, resource_name="1", configuration_keys=["k"])],
            include_documentation=True,
        ),
        4,
        """
        02              | resources: 1
        04              |   resource_type: broker
        02 31           |   resource_name: "1"
        02              |   configuration_keys: 1
        02 6b           |     "k"
        00              |   no tagged fields
        00              | include_synonyms
        01              | include_documentation
        00              | no tagged fields
        """,
    ),
    Golden(
        DescribeConfigsResponse(
            results=[
                DescribeConfigsResult(
                    error_code=0,
                    error_message=None,
                    resource_type=2,
                    resource_name="t",
                    configs=[
                        DescribeConfigsResourceResult(
                            name="k",
                            value="v",
                            read_only=False,
                            config_source=1,
                            is_sensitive=False,
                            synonyms=[DescribeConfigsSynonym(name="log.k", value="w", source=5)],
                            config_type=2,
                            documentation="d",
                        )
                    ],
                )
            ]
        ),
        4,
        """
        00 00 00 00             | throttle_time_ms
        02                      | results: 1
        00 00                   |   error_code
        00                      |   error_message: null
        02                      |   resource_type: topic
        02 74                   |   resource_name: "t"
        02                      |   configs: 1
        02 6b                   |     name: "k"
        02 76                   |     value: "v"
        00                      |     read_only
        01                      |     config_source: dynamic topic
        00                      |     is_sensitive
        02                      |     synonyms: 1
        06 6c 6f 67 2e 6b       |       name: "log.k"
        02 77                   |       value: "w"
        05                      |       source: default
        00                      |       no tagged fields
        02                      |     config_type: string
        02 64                   |     documentation: "d"
        00                      |     no tagged fields
        00                      |   no tagged fields
        00                      | no tagged fields
        """,
    ),
    Golden(
        IncrementalAlterConfigsRequest(
            resources=[
                incremental_alter_configs.AlterConfigsResource(
                    resource_type=2,
                    resource_name="t",
                    configs=[
                        incremental_alter_configs.AlterableConfig(name="k", config_operation=1, value=None),
                        incremental_alter_configs.AlterableConfig(name="l", config_operation=0, value="v"),
                    ],
                )
            ],
            validate_only=True,
        ),
        1,
        """
        02              | resources: 1
        02              |   resource_type: topic
        02 74           |   resource_name: "t"
        03              |   configs: 2
        02 6b           |     name: "k"
        01              |     config_operation: delete
        00              |     value: null
        00              |     no tagged fields
        02 6c           |     name: "l"
        00              |     config_operation: set
        02 76           |     value: "v"
        00              |     no tagged fields
        00              |   no tagged fields
        01              | validate_only
        00              | no tagged fields
        """,
    ),
    Golden(
        IncrementalAlterConfigsResponse(
            responses=[
                incremental_alter_configs.AlterConfigsResourceResponse(
                    error_code=40, error_message="no", resource_type=2, resource_name="t"
                )
            ]
        ),
        0,
        """
        00 00 00 00     | throttle_time_ms
        00 00 00 01     | responses: 1
        00 28           |   error_code: INVALID_CONFIG
        00 02 6e 6f     |   error_message: "no"
        02              |   resource_type: topic
        00 01 74        |   resource_name: "t"
        """,
    ),
    Golden(
        AlterConfigsRequest(
            resources=[
                alter_configs.AlterConfigsResource(
                    resource_type=2,
                    resource_name="t",
                    configs=[alter_configs.AlterableConfig(name="k", value="v")],
                )
            ],
            validate_only=False,
        ),
        0,
        """
        00 00 00 01     | resources: 1
        02              |   resource_type: topic
        00 01 74        |   resource_name: "t"
        00 00 00 01     |   configs: 1
        00 01 6b        |     name: "k"
        00 01 76        |     value: "v"
        00              | validate_only
        """,
    ),
    Golden(
        AlterConfigsResponse(
            responses=[
                alter_configs.AlterConfigsResourceResponse(
                    error_code=0, error_message=None, resource_type=2, resource_name="t"
                )
            ]
        ),
        2,
        """
        00 00 00 00     | throttle_time_ms
        02              | responses: 1
        00 00           |   error_code
        00              |   error_message: null
        02              |   resource_type: topic
        02 74           |   resource_name: "t"
        00              |   no tagged fields
        00              | no tagged fields
        """,
    ),
    Golden(
        ListConfigResourcesRequest(),
        0,
        """
        00              | no tagged fields
        """,
    ),
    Golden(
        ListConfigResourcesRequest(resource_types=[2, 32]),
        1,
        """
        03              | resource_types: 2
        02              |   topic
        20              |   group
        00              | no tagged fields
        """,
    ),
    Golden(
        ListConfigResourcesResponse(
            error_code=0, config_resources=[ConfigResource(resource_name="t", resource_type=2)]
        ),
        1,
        """
        00 00 00 00     | throttle_time_ms
        00 00           | error_code
        02              | config_resources: 1
        02 74           |   resource_name: "t"
        02              |   resource_type: topic
        00              |   no tagged fields
        00              | no tagged fields
        """,
    ),
]

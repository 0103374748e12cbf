"""Apache Kafka in KRaft mode without Docker: jars from Maven Central, one process that is broker and controller.

For `make kafka` and for the tests that are about losing nothing when a broker dies, several workers, or volume.
"""

import hashlib
import random
import re
import shutil
import subprocess
from pathlib import Path

from pipeline.broker.process import PORTS, BrokerProcess, is_free
from pipeline.errors import BrokerError, ConfigurationError
from pipeline.settings import REPOSITORY

JAVA = 17
"""The oldest Java that Kafka 4 brokers run on."""
FIX = "apt-get install openjdk-17-jre-headless maven"
POM = REPOSITORY / "deploy" / "kafka" / "pom.xml"
JARS = REPOSITORY / "build" / "kafka" / "libs"
HEAP = ("-Xms128m", "-Xmx512m", "-XX:+UseSerialGC")
MAVEN_TIMEOUT_S = 600
NODE = "1"
CLUSTER = "dG9jc2luLXRvY3Npbi10bw"
"""Any 16 bytes, in base64: one cluster per data directory, so nothing to tell apart."""

PROPERTIES = """\
process.roles=broker,controller
node.id={node}
controller.quorum.voters={node}@127.0.0.1:{controller}
listeners=PLAINTEXT://127.0.0.1:{port},CONTROLLER://127.0.0.1:{controller}
advertised.listeners=PLAINTEXT://127.0.0.1:{port}
controller.listener.names=CONTROLLER
listener.security.protocol.map=PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT
log.dirs={logs}
# Acknowledged means on disk: there is no other replica that would have it.
log.flush.interval.messages=1
auto.create.topics.enable=false
group.initial.rebalance.delay.ms=0
offsets.topic.replication.factor=1
offsets.topic.num.partitions=4
transaction.state.log.replication.factor=1
transaction.state.log.min.isr=1
transaction.state.log.num.partitions=4
share.coordinator.state.topic.replication.factor=1
share.coordinator.state.topic.min.isr=1
# After a kill -9 the broker registers again only when its earlier session has ended; by default that takes 9 s.
broker.session.timeout.ms=2000
broker.heartbeat.interval.ms=500
# Small, for a small heap.
log.cleaner.dedupe.buffer.size=16777216
num.network.threads=2
num.io.threads=4
"""

LOGGING = """\
rootLogger.level=WARN
rootLogger.appenderRef.out.ref=out
appender.out.type=Console
appender.out.name=out
appender.out.layout.type=PatternLayout
appender.out.layout.pattern=%d %p %c{1}: %m%n%ex
"""


class ApacheKafka(BrokerProcess):
    """Apache Kafka on `<data_dir>/kafka`; `jars` as `fetch_jars` gives them."""

    NAME = "kafka"
    SAID = "Apache Kafka"

    def __init__(self, data_dir: Path, jars: Path) -> None:
        super().__init__(data_dir)
        self.jars = jars

    def command(self, port: int) -> list[str]:
        """Writes server.properties and formats the storage where that was not done. Raises BrokerError."""
        controller = next(other for other in random.sample(PORTS, 20) if other != port and is_free(other))
        properties = self.store / "server.properties"
        logs = self.store / "logs"
        properties.write_text(PROPERTIES.format(node=NODE, port=port, controller=controller, logs=logs))
        (self.store / "log4j2.properties").write_text(LOGGING)
        if not (logs / "meta.properties").exists():
            self._format(properties)
        return [*self._java(), "kafka.Kafka", str(properties)]

    def _java(self, *options: str) -> list[str]:
        logging = f"-Dlog4j2.configurationFile={self.store / 'log4j2.properties'}"
        return [java(), *HEAP, logging, *options, "-cp", f"{self.jars}/*"]

    def _format(self, properties: Path) -> None:
        tool = [*self._java("-XX:TieredStopAtLevel=1"), "kafka.tools.StorageTool"]
        done = subprocess.run(
            [*tool, "format", "--cluster-id", CLUSTER, "--config", str(properties)],
            check=False,
            capture_output=True,
            text=True,
        )
        if done.returncode:
            raise BrokerError(f"Kafka's storage could not be formatted:\n{(done.stdout + done.stderr)[-1500:]}")


def java() -> str:
    """The Java to run Kafka with. Raises ConfigurationError, naming the fix, when it is missing or too old."""
    found = shutil.which("java")
    if found is None:
        raise ConfigurationError(f"Java is missing: {FIX}")
    said = subprocess.run([found, "-version"], check=False, capture_output=True, text=True).stderr
    version = re.search(r'version "(\d+)', said)
    if version is None or int(version[1]) < JAVA:
        raise ConfigurationError(
            f"Kafka needs Java {JAVA}, but {found} is {version[1] if version else 'unknown'}: {FIX}"
        )
    return found


def fetch_jars(pom: Path = POM, target: Path = JARS) -> Path:
    """Kafka's jars, fetched from Maven Central once per version of the pom.

    Raises ConfigurationError when Maven is missing, BrokerError when it does not reach its repository.
    """
    wanted = hashlib.sha256(pom.read_bytes()).hexdigest()
    stamp = target.parent / "stamp"
    if stamp.exists() and stamp.read_text() == wanted:
        return target
    maven = shutil.which("mvn")
    if maven is None:
        raise ConfigurationError(f"Maven is missing, which fetches Kafka's jars: {FIX}")
    shutil.rmtree(target, ignore_errors=True)
    goal = ["dependency:copy-dependencies", "-DincludeScope=runtime", f"-DoutputDirectory={target}"]
    try:
        done = subprocess.run(
            [maven, "-q", "-B", "-f", str(pom), *goal],
            check=False,
            capture_output=True,
            text=True,
            timeout=MAVEN_TIMEOUT_S,
        )
    except subprocess.TimeoutExpired as error:
        raise BrokerError(f"Maven did not fetch Kafka's jars within {MAVEN_TIMEOUT_S} s: is it online?") from error
    if done.returncode:
        raise BrokerError(f"Maven did not fetch Kafka's jars:\n{(done.stdout + done.stderr)[-1500:]}")
    stamp.write_text(wanted)
    return target

import org.apache.kafka.tools.consumer.group.ConsumerGroupCommand;

import java.io.BufferedReader;
import java.io.InputStreamReader;

/** kafka-consumer-groups.sh many times in one process: each line of the input is a command line, with tabs between. */
public final class ConsumerGroups {
    public static void main(String[] arguments) throws Exception {
        BufferedReader input = new BufferedReader(new InputStreamReader(System.in));
        for (String line = input.readLine(); line != null; line = input.readLine()) {
            ConsumerGroupCommand.main(line.split("\t")); // which ends the process if it is not understood
            System.out.flush();
        }
    }
}

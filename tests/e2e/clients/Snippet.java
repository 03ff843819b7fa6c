// Log4j 2 or Logback with a configuration as it is: logs one event, and ends once it was handed over.
//
// Arguments: the library, the file of its configuration, and the text of the event.

import java.nio.file.Path;

public class Snippet {
    public static void main(String[] arguments) throws Exception {
        String library = arguments[0], file = arguments[1], text = arguments[2];
        if (library.equals("Logback")) {
            var context = new ch.qos.logback.classic.LoggerContext();
            var configurator = new ch.qos.logback.classic.joran.JoranConfigurator();
            configurator.setContext(context);
            configurator.doConfigure(file);
            context.getLogger("shop").warn(text);
            context.stop();
        } else {
            System.setProperty("log4j2.configurationFile", Path.of(file).toUri().toString());
            org.apache.logging.log4j.LogManager.getLogger("shop").warn(text);
            org.apache.logging.log4j.LogManager.shutdown();
        }
    }
}
